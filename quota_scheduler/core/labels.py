"""The closed set of labels that usage events and tickets carry, and how a limit's scope selects them."""

import fnmatch
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

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

    def overlaid(self, over: "Labels") -> "Labels":
        """These labels with every value that ``over`` gives put on top, except provider and model.

        Provider and model are what was really called; the rest says on whose behalf.
        """
        merged = [b or a for a, b in zip(self, over, strict=True)]
        return Labels(*merged)._replace(provider=self.provider, model=self.model)


LABEL_NAMES = Labels._fields
LONGEST_VALUE = 200
"""Longest label value kept; enough for any path or model id, and a bound on what one event can store."""

BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the order of what is shown around: a name must read as it is."""


def is_control(sign: str) -> bool:
    """Whether a character does something instead of showing something: escapes, line breaks, order of writing."""
    return unicodedata.category(sign) in {"Cc", "Zl", "Zp"} or sign in BIDIRECTIONAL


Match = tuple[tuple[str, frozenset[str]], ...]
"""A scope: every named label must have one of the values. Empty matches everything."""


def matches(scope: Match, labels: Labels) -> bool:
    """Whether a scope selects these labels."""
    return all(labels.value(name) in values for name, values in scope)


def match_of(spec: Mapping[str, str | list[str]]) -> Match:
    """Turn ``{"team": ["growth", "sales"]}`` into a scope, in a stable order."""
    return tuple(
        (name, frozenset([value] if isinstance(value, str) else value)) for name, value in sorted(spec.items())
    )


@dataclass(frozen=True, slots=True)
class LabelRule:
    """``when`` a record's facts match these shell patterns, ``set`` these labels. First matching rule wins.

    Patterns use ``*``, ``?`` and ``[]``; ``*`` also matches a path separator, and ``~/work/**`` also matches
    ``~/work`` itself. ``priority`` is the priority class the usage counts as, for scheduled scripts without a lease.
    """

    when: tuple[tuple[str, str], ...]
    set: tuple[tuple[str, str], ...]
    priority: Priority | None = None

    def applies(self, facts: Mapping[str, str]) -> bool:
        """Whether every pattern matches the fact of that name; an absent fact is empty text."""
        return all(_like(facts.get(name, ""), pattern) for name, pattern in self.when)


def _like(value: str, pattern: str) -> bool:
    if pattern.endswith("/**") and value.rstrip("/") == pattern.removesuffix("/**").rstrip("/"):
        return True
    return fnmatch.fnmatchcase(value, pattern)


def label_transcript(
    facts: Mapping[str, str], rules: tuple[LabelRule, ...], *, provider: str, account: str, model: str
) -> tuple[Labels, Priority | None]:
    """Label a transcript line from what it says about itself (``cwd``, ``model``, ``branch``).

    Returns the labels and the priority class the first matching rule sets, None when none does. Without a rule
    ``project`` and ``workflow`` are the last part of ``cwd``.
    """
    project = PurePosixPath(facts.get("cwd", "").replace("\\", "/")).name
    labels = Labels(provider=provider, account=account, model=model, project=project, workflow=project)
    for rule in rules:
        if rule.applies(facts):
            return labels._replace(**dict(rule.set)), rule.priority
    return labels, None
