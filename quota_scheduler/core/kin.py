"""Kin: which known models an unknown one is like, judged by its name, so that it costs about what they cost.

    claude-opus-6        words claude opus        version 6    ► claude-opus-5-5, claude-opus-5
    gpt-5.3-codex-spark  words gpt codex spark    version 5.3  ► gpt-5.3-codex, gpt-5.1-codex-mini

The family with the most first words in common, and of it the two newest versions that are not newer than the model
asked for, of each the names with the fewest words. So a relic never speaks for a model that has successors.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from quota_scheduler.core.names import canonical_model

VERSIONS = 2
"""Versions of a family that speak for the next one: a new version may cost as its predecessor or the one before."""
_PARTS = re.compile(r"\d+b\b|[a-z]+|\d+")
_LONGEST_NUMBER = 2
"""Digits of a part of a version; longer numbers are dates and sizes, as are those of billions."""


class ModelName(NamedTuple):
    """A model's name taken apart; ``model`` is the name itself."""

    model: str
    words: tuple[str, ...]
    version: tuple[int, ...]


def name_of(model: str) -> ModelName:
    """Take a model's name apart."""
    parts = _PARTS.findall(canonical_model(model))
    words = tuple(part for part in parts if part.isalpha())
    return ModelName(
        model, words, tuple(int(part) for part in parts if part.isdigit() and len(part) <= _LONGEST_NUMBER)
    )


class ModelFamilies:
    """The models that somebody sells, by the first word of their names."""

    def __init__(self, models: Iterable[str]) -> None:
        self._by_word: dict[str, list[ModelName]] = {}
        for name in map(name_of, models):
            if name.words:
                self._by_word.setdefault(name.words[0], []).append(name)

    def kin(self, model: str) -> list[list[str]]:
        """The models that an unknown one is like, by version, the newest first.

        Of a name that says nothing it is the newest of the commonest family; nothing where nothing is sold.
        """
        asked = name_of(model)
        words, least = asked.words, 1
        if not words or words[0] not in self._by_word:
            words, least = (self._commonest_word, *words), 2  # "opus" is the claude-opus of a vendor of claudes
        shared = {name: _in_common(words, name.words) for name in self._by_word.get(words[0], ())}
        most = max(shared.values(), default=0)
        if most < least:
            return _newest(list(shared), ())
        return _newest([name for name in shared if shared[name] == most], asked.version)

    @cached_property
    def _commonest_word(self) -> str:
        counted = Counter({word: len(names) for word, names in self._by_word.items()})
        return next((word for word, _ in counted.most_common(1)), "")


def _newest(family: list[ModelName], not_after: tuple[int, ...]) -> list[list[str]]:
    """The plainest names of the newest versions."""
    versions = {name.version for name in family}
    if versions and not_after:
        versions = {version for version in versions if version <= not_after} or {min(versions)}
    found = []
    for version in sorted(versions, reverse=True)[:VERSIONS]:
        names = [name for name in family if name.version == version]
        fewest = min(len(name.words) for name in names)
        found.append([name.model for name in names if len(name.words) == fewest])
    return found


def _in_common(words: tuple[str, ...], others: tuple[str, ...]) -> int:
    count = 0
    for word, other in zip(words, others, strict=False):
        if word != other:
            break
        count += 1
    return count
