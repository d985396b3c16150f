"""Limits at risk: what their forecast says in figures, and what the founding documents advise at each band."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from quota_scheduler.core.advice.suggestion import Suggestion
from quota_scheduler.core.instants import iso
from quota_scheduler.core.units import Unit, format_amount

ADVICE = {
    "medium": "Look at it daily, and give what can wait the class low.",
    "high": "Let low work wait until the reset, give simple tasks to a smaller model, and put flags that pay in force.",
    "critical": "Pause what is not needed now, raise the amount or wait for the reset, and split large runs.",
}
"""What to do by risk band; a low or unknown risk asks for nothing."""


class AtRisk(NamedTuple):
    """A limit's open window: its band, its amount, and what it comes to at the reset, in the base of its unit.

    ``p80`` is what four of five outcomes stay below; ``confidence`` 0-1.
    """

    limit: str
    risk: str
    unit: Unit
    amount: int
    expected: int
    p80: int
    ends_at: datetime
    confidence: float = 0.0


def at_risk(limits: Iterable[AtRisk]) -> Iterator[Suggestion]:
    """Say of every limit at risk by how much, until when, and what helps; the worst bands first."""
    bands = list(ADVICE)
    for one in sorted(limits, key=lambda one: (-bands.index(one.risk) if one.risk in bands else 1, one.limit)):
        if one.risk not in ADVICE or one.amount <= 0:
            continue
        over, amount = one.expected - one.amount, format_amount(one.amount, one.unit)
        excess = f", {format_amount(over, one.unit)} too much are expected" if over > 0 else ""
        text = (
            f"{one.limit}: its risk is {one.risk}. Four of five forecasts end below {format_amount(one.p80, one.unit)} "
            f"of {amount} ({one.p80 / one.amount:.0%}) at the reset, {iso(one.ends_at)}{excess}. {ADVICE[one.risk]}"
        )
        yield Suggestion("quota_at_risk", one.limit, text, 0, confidence=one.confidence)
