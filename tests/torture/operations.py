"""What clients did and were told: the operations of a history, as the judges read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

NEVER = float("inf")
"""The end of an operation whose answer nobody will ever know."""


class Verb(StrEnum):
    """What a client can ask."""

    SUBMIT = "submit"
    POLL = "poll"
    RENEW = "renew"
    RELEASE = "release"
    CANCEL = "cancel"
    USE = "use"
    AMOUNT = "amount"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Figures:
    """One limit as an answer shows it."""

    used: int
    reserved: int
    ceiling: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said: of a ticket its ``state``, else ``accepted``, ``duplicate`` or ``done``.

    ``reserved`` is what its lease still holds by limit, ``figures`` are those of the limits that keep it out.
    """

    state: str
    ticket: str = ""
    fence: int = 0
    reserved: Mapping[str, int] | None = None
    figures: Mapping[str, Figures] | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of one client, from ``begin`` to ``end`` (seconds of one monotonic clock).

    ``key`` names the ticket, the usage event or the limit; ``amount`` is what was asked, used so far or set. ``limits``
    bind a ticket or event. ``answer`` is None where nobody heard one: it may have happened at any time up to ``end``,
    or not at all. ``last`` says that no later operation names this key.
    """

    client: int
    begin: float
    end: float
    verb: Verb
    key: str
    amount: int = 0
    limits: tuple[str, ...] = ()
    fence: int = 0
    answer: Answer | None = None
    last: bool = False

    def said(self) -> str:
        """One line for people."""
        heard = self.answer or "no answer"
        return f"{self.begin:.4f}–{self.end:.4f} client {self.client} {self.verb} {self.key} {self.amount} → {heard}"


def bounded(history: Sequence[Operation]) -> list[Operation]:
    """The same in order of their ends, where what was never answered ends with the next answer about its key.

    Clients ask the same again until they are answered, and what comes once more changes nothing: if the first had not
    happened by then, it is as if it never did.
    """
    answered: dict[str, float] = {}
    result = []
    for operation in sorted(history, key=lambda one: one.begin, reverse=True):
        if operation.answer is None:
            operation = replace(operation, end=answered.get(operation.key, NEVER), last=False)
        else:
            answered[operation.key] = operation.end
        result.append(operation)
    return sorted(result, key=lambda one: (one.end, one.answer is not None))
