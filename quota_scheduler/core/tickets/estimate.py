"""What a ticket is expected to use, from what its runner says and from what is known of work like it."""

from collections.abc import Mapping
from dataclasses import dataclass

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
FILES_PER_UNIT, FILES_LEAST, FILES_MOST = 10, 0.5, 3.0
"""Ten files are one such task; fewer or more scale it within these bounds."""
COMPLEXITY = {"simple": 0.7, "normal": 1.0, "complex": 1.5}
TOKENS_PER_WORD, LONG_WORDS, LONG_LINES, OUTPUT_SHARE = 100, 200, 20, 0.08
"""A text of unknown kind: 100 tokens a word, doubled when long, and 8 % output on top (founding document 1)."""
GUESS_CONFIDENCE = 0.3
GUESS_MARGIN = 1.3
"""A guess reserves 30 % more than it expects."""
SPLIT_WORDS = 500
"""Descriptions longer than this ask to be split."""


@dataclass(frozen=True, slots=True)
class Description:
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
        return TASK_TOKENS[self.task_type][2] if self.task_type in TASK_TOKENS else Priority.NORMAL


def split(tokens: int, mix: Usage | None, *, requests: int = 1) -> Usage:
    """Spread a bare number of tokens over the kinds as ``mix`` has them, exactly adding up."""
    shares = mix.kinds if mix and mix.tokens else USUAL_MIX
    whole = sum(shares)
    parts = [tokens * share // whole for share in shares]
    parts[max(range(len(parts)), key=lambda kind: shares[kind])] += tokens - sum(parts)
    return Usage(*parts[:5])._replace(requests=requests)


def declared(usage: Usage, *, source: str = "declared") -> Estimate:
    """An estimate that the runner gave itself: it reserves what it says."""
    return Estimate(usage, usage, source=source)


def described(task: Description) -> Estimate:
    """An estimate from words alone."""
    usual = TASK_TOKENS.get(task.task_type)
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
