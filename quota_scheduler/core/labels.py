"""The closed set of labels that usage events and tickets carry, and how a limit's scope selects them."""

import fnmatch
import re
import unicodedata
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple

from msgspec import Struct

from quota_scheduler.core.names import ANY, canonical, canonical_model, could_call
from quota_scheduler.core.priority import Priority


class Labels(NamedTuple):
    """Who and what spends. Empty text means *not given*; only ``provider`` is always there."""

    provider: str
    account: str = ""
    model: str = ""
    team: str = ""
    project: str = ""
    workflow: str = ""
    task_type: str = ""
    agent: str = ""

    def value(self, name: str) -> str:
        """The value of one label, empty when it was not given."""
        value: str = getattr(self, name)
        return value

    @property
    def asking(self) -> "Labels":
        """These labels as those of work that asks to start: what names no model could call any."""
        return self if self.model else _with_any_model(self)

    def overlaid(self, over: "Labels") -> "Labels":
        """These labels with every value that ``over`` gives put on top, except provider and model.

        Provider and model are what was really called; the rest says on whose behalf. What was ``UNASKED`` was asked
        for after all.
        """
        merged = [b or ("" if a == UNASKED else a) for a, b in zip(self, over, strict=True)]
        return Labels(*merged)._replace(provider=self.provider, model=self.model)


@lru_cache(4096)
def _with_any_model(labels: Labels) -> Labels:
    """Asked for several times with every decision about work that names no model."""
    return labels._replace(model=ANY)


LABEL_NAMES = Labels._fields
UNASKED = "-"
"""The team of usage that nobody asked for and no rule gives a team: it counts in no limit ``per: team``."""
LONGEST_VALUE = 200
"""Longest label value kept; enough for any path or model id, and a bound on what one event can store."""

BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the order of what is shown around: a name must read as it is."""


def is_control(sign: str) -> bool:
    """Whether a character does something instead of showing something: escapes, line breaks, order of writing."""
    return unicodedata.category(sign) in {"Cc", "Zl", "Zp"} or sign in BIDIRECTIONAL


_WORKTREE = re.compile(r"(?:/\.claude/worktrees|/\.worktrees|(?<=[^/])\.worktrees)/[^/]+(?:/.*)?$")

Match = tuple[tuple[str, frozenset[str]], ...]
"""A scope: every named label must have one of the values, or fit one of the patterns. Empty matches everything."""


def matches(scope: Match, labels: Labels) -> bool:
    """Whether a scope selects these labels, models and providers by any of their spellings.

    Work whose model is ``ANY`` is selected where its provider could call one of the models.
    """
    return all(_selects(name, values, labels) for name, values in scope)


def _selects(name: str, values: frozenset[str], labels: Labels) -> bool:
    value = labels.value(name)
    if name == "model" and value == ANY:
        return any(could_call(labels.provider, model) for model in values)
    one = canonical(name, value)
    return one in values or any(fits(one, pattern) or fits(value, pattern) for pattern in values if is_pattern(pattern))


def is_pattern(value: str) -> bool:
    """Whether a value of a scope stands for several: ``*`` any text, ``?`` one character."""
    return "*" in value or "?" in value


def fits(value: str, pattern: str) -> bool:
    """Whether a value fits a pattern of a scope; brackets are no signs, since context suffixes have them."""
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def covers(values: Collection[str], others: Collection[str]) -> bool:
    """Whether one label's values or patterns in a scope select all that others select, as far as their texts tell."""
    return all(
        other in values or any(fits(other, pattern) for pattern in values if is_pattern(pattern)) for other in others
    )


def match_of(spec: Mapping[str, str | list[str]]) -> Match:
    """Turn ``{"team": ["growth", "sales"]}`` into a scope, in a stable order, each name in its one spelling."""
    return tuple(
        (name, frozenset(_in_scope(name, one) for one in ([value] if isinstance(value, str) else value)))
        for name, value in sorted(spec.items())
    )


def _in_scope(name: str, value: str) -> str:
    if is_pattern(value):
        return value.strip().lower() if name in ("model", "provider") else value
    return canonical(name, value)


class LabelRule(Struct, frozen=True):
    """``when`` a record's facts match these shell patterns, ``set`` these labels. First matching rule wins.

    Patterns use ``*``, ``?`` and ``[]``; ``*`` also matches a path separator, and ``~/work/**`` also matches
    ``~/work`` itself. A model fits by any of its spellings, and what ran in a worktree as if it ran in the repository.
    ``priority`` is the priority class the usage counts as, for scheduled scripts without a lease.
    """

    when: tuple[tuple[str, str], ...]
    set: tuple[tuple[str, str], ...]
    priority: Priority | None = None

    def applies(self, facts: Mapping[str, str]) -> bool:
        """Whether every pattern matches the fact of that name; an absent fact is empty text."""
        return all(_like(name, facts.get(name, ""), pattern) for name, pattern in self.when)


def _like(name: str, value: str, pattern: str) -> bool:
    match name:
        case "model":
            one, other = canonical_model(value), canonical_model(pattern)
            return one == other or _fits_shell(one, pattern.lower()) or _fits_shell(value.lower(), pattern.lower())
        case "cwd" | "root":
            return _lies_in(value, pattern) or _lies_in(repository_of(value), pattern)
        case _:
            return _fits_shell(value, pattern)


def _fits_shell(value: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern)


def _lies_in(path: str, pattern: str) -> bool:
    return _fits_shell(path, pattern) or (
        pattern.endswith("/**") and path.rstrip("/") == pattern.removesuffix("/**").rstrip("/")
    )


def repository_of(path: str) -> str:
    """The folder that a worktree belongs to; any other path as it is, with ``/`` between its parts.

    Known layouts are ``shop/.claude/worktrees/NAME``, ``shop/.worktrees/NAME`` and ``shop.worktrees/NAME``.
    """
    return _WORKTREE.sub("", path.replace("\\", "/"))


def label_transcript(
    facts: Mapping[str, str], rules: tuple[LabelRule, ...], *, provider: str, account: str, model: str
) -> tuple[Labels, Priority | None]:
    """Label a transcript line from what it says about itself: ``cwd``, ``model``, ``branch``, and its ``root``.

    ``cwd`` is where the session began: a project is not left by changing into a folder. Returns the labels and the
    priority class the first matching rule sets, None when none does. Without a rule ``project`` and ``workflow`` are
    the last part of ``cwd``, of a worktree that of its repository.
    """
    project = PurePosixPath(repository_of(facts.get("cwd", ""))).name
    labels = Labels(provider=provider, account=account, model=model, project=project, workflow=project)
    for rule in rules:
        if rule.applies(facts):
            return labels._replace(**dict(rule.set)), rule.priority
    return labels, None
