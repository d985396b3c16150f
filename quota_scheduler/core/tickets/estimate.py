"""What a ticket is expected to use, from what its runner says and from what is known of work like it."""

import re
from collections.abc import Mapping

from msgspec import Struct

from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Estimate
from quota_scheduler.core.usage import Usage

USUAL_MIX = (20, 880, 70, 0, 30)
"""Share per mille of each token kind where no history is known: agents mostly read their cache (usage notes, 1.4)."""
TASK_TOKENS: Mapping[str, tuple[int, int, Priority]] = {
    "code_generation": (3_000, 12_000, Priority.NORMAL),
    "review": (6_000, 2_000, Priority.NORMAL),
    "documentation": (4_000, 6_000, Priority.LOW),
    "analysis": (8_000, 4_000, Priority.HIGH),
    "quick_query": (1_000, 1_000, Priority.LOW),
}
"""Input and output tokens and class by task type (founding document 5)."""
TASK_ALIASES: Mapping[str, str] = {
    "code_review": "review",
    "coding": "code_generation",
    "test": "code_generation",
    "testing": "code_generation",
    "docs": "documentation",
    "query": "quick_query",
}
"""Other names that people and the founding documents have for them: writing tests is writing code."""
FILES_PER_UNIT = 10
"""Files that make one such task; fewer or more scale it (founding document 5)."""
FILES_LEAST = 0.5
"""Least factor for few files."""
FILES_MOST = 3.0
"""Largest factor for many files."""
COMPLEXITY = {"simple": 0.7, "normal": 1.0, "complex": 1.5}
"""Factor by complexity (founding document 5)."""
TOKENS_PER_WORD = 100
"""Tokens for each word of a text of unknown kind, doubled when it is long (founding document 1)."""
LONG_WORDS = 200
"""Words from which on a text is long."""
LONG_LINES = 20
"""Lines from which on a text is long."""
OUTPUT_SHARE = 0.08
"""Output tokens on top of such a text, as a share (founding document 1)."""
GUESS_CONFIDENCE = 0.3
"""Confidence of a guess from words alone (design, section 4)."""
GUESS_MARGIN = 1.3
"""A guess reserves 30 % more than it expects."""
SPLIT_WORDS = 500
"""Descriptions longer than this ask to be split."""


class Description(Struct, frozen=True):
    """A task in words: its type, text, how many files it touches, how complex and urgent it is."""

    task_type: str = ""
    text: str = ""
    files: int = 0
    complexity: str = "normal"
    urgent: bool = False

    @property
    def words(self) -> int:
        """Words of the text."""
        return len(self.text.split())

    @property
    def priority(self) -> Priority:
        """The class it belongs to when none is asked for."""
        if self.urgent:
            return Priority.HIGH
        usual = usual_task(self.task_type)
        return usual[2] if usual else Priority.NORMAL


def usual_task(task_type: str) -> tuple[int, int, Priority] | None:
    """Return input and output tokens and class of a task type, however its name is spelled; None for one nobody knows.

    ``CodeReview``, ``code-review`` and ``review`` are one.
    """
    name = re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", task_type.strip())).lower()
    return TASK_TOKENS.get(TASK_ALIASES.get(name, name))


def split(tokens: int, mix: Usage | None, *, requests: int = 1) -> Usage:
    """Spread a bare number of tokens over the kinds as ``mix`` has them, exactly adding up."""
    shares = mix.kinds if mix and mix.tokens else USUAL_MIX
    whole = sum(shares)
    parts = [tokens * share // whole for share in shares]
    parts[max(range(len(parts)), key=lambda kind: shares[kind])] += tokens - sum(parts)
    return Usage(*parts[:5])._replace(requests=requests)


def declared(usage: Usage, *, source: str = "declared") -> Estimate:
    """Return an estimate that the runner gave itself: it reserves what it says."""
    return Estimate(usage, usage, source=source)


def says_nothing(task: Description) -> bool:
    """Tell whether neither the type nor the text of a task says anything about its size."""
    return usual_task(task.task_type) is None and not task.words


def described(task: Description) -> Estimate:
    """Return an estimate from words alone; 0 for a task that says nothing."""
    usual = usual_task(task.task_type)
    if usual:
        files = min(FILES_MOST, max(FILES_LEAST, task.files / FILES_PER_UNIT)) if task.files else 1.0
        factor = files * COMPLEXITY[task.complexity]
        usage = Usage(input=int(usual[0] * factor), output=int(usual[1] * factor), requests=1)
        return _guess(usage, "task_type", task)
    long = task.words > LONG_WORDS or task.text.count("\n") + 1 > LONG_LINES
    tokens = task.words * TOKENS_PER_WORD * (2 if long else 1)
    factor = COMPLEXITY[task.complexity]
    usage = Usage(input=int(tokens * factor), output=int(tokens * factor * OUTPUT_SHARE), requests=1)
    return _guess(usage, "constants", task)


def _guess(usage: Usage, source: str, task: Description) -> Estimate:
    reserve = Usage(*(int(part * GUESS_MARGIN) for part in usage[:5]))._replace(requests=usage.requests)
    return Estimate(
        usage, reserve, source=source, declared=False, confidence=GUESS_CONFIDENCE, words=task.words, guess=usage.tokens
    )
