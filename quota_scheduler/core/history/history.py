"""Rows of usage in order, the largest of them, and what they add up to.

    sums by slot ──► rows: by time, within it the costliest first ──► the top ones ──► all others in one ──► totals

Nothing is rounded before it is shown, so that rows, others and totals agree to the pico-dollar.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from quota_scheduler.core.efficiency.runs import cache_hit_rate
from quota_scheduler.core.history.asking import Question
from quota_scheduler.core.instants import iso
from quota_scheduler.core.usage import KINDS, Usage


class Sum(NamedTuple):
    """Usage under one key; of it ``unlisted`` tokens stand in no call, and ``partial`` requests were interrupted."""

    usage: Usage = Usage()
    unlisted: int = 0
    partial: int = 0

    def plus(self, other: "Sum") -> "Sum":
        """Both together."""
        return Sum(self.usage.plus(other.usage), self.unlisted + other.unlisted, self.partial + other.partial)

    @property
    def rank(self) -> tuple[int, int]:
        """What makes one row larger than another: its cost, then its tokens."""
        return self.usage.cost_pico, self.usage.tokens

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        rate = cache_hit_rate(self.usage)
        return {
            **dict(zip(KINDS, self.usage.kinds, strict=True)),
            "tokens": self.usage.tokens,
            "requests": self.usage.requests,
            "cost_usd": self.usage.cost_usd,
            "unpriced_tokens": self.usage.unpriced_tokens,
            "cache_hit_rate": None if rate is None else round(rate, 4),
            "unlisted_tokens": self.unlisted,
            "partial_requests": self.partial,
        }


NOTHING = Sum()
FIGURES = tuple(Sum().document())
"""The names of a row's figures, in their order."""
Key = tuple[str, ...]


class History(Struct, frozen=True):
    """What was used: ``rows`` by what was asked, ``others`` the sum of the ``left_out`` rows, and the total.

    ``forgotten`` is what sums by hour know of the span and raw events no longer do: it belongs to no row.
    """

    question: Question
    rows: tuple[tuple[Key, Sum], ...]
    total: Sum
    others: Sum = NOTHING
    left_out: int = 0
    forgotten: Sum = NOTHING
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        asked = self.question
        return {
            "since": iso(asked.since),
            "until": iso(asked.until),
            "timezone": asked.zone,
            "by": list(asked.by),
            "usage": [{**dict(zip(asked.by, key, strict=True)), **row.document()} for key, row in self.rows],
            "others": {"rows": self.left_out, **self.others.document()} if self.left_out else None,
            "forgotten": self.forgotten.document() if any(self.forgotten.usage) else None,
            "total": self.total.document(),
            "notes": list(self.notes),
        }


def history(asked: Question, sums: Iterable[tuple[Key, Sum]], *, everything: Usage | None = None) -> History:
    """Put sums in order; those of one key are added up.

    ``everything`` is what sums by hour know of the span where the rows are made of raw events; what they lack of it is
    ``forgotten``.
    """
    by_key: dict[Key, Sum] = {}
    for key, one in sums:
        by_key[key] = by_key.get(key, Sum()).plus(one)
    rows = [(key, one) for key, one in by_key.items() if any(one.usage)]
    listed = _added(one for _, one in rows)
    forgotten = Sum(everything.minus(listed.usage)) if everything is not None else Sum()
    kept = _largest(rows, asked.top)
    others = [(key, one) for key, one in rows if key not in kept]
    in_order = sorted(((key, one) for key, one in rows if key in kept), key=lambda row: _place(asked, *row))
    return History(
        asked,
        tuple(in_order),
        total=listed.plus(forgotten),
        others=_added(one for _, one in others),
        left_out=len(others),
        forgotten=forgotten,
        notes=_notes(asked, forgotten),
    )


def _added(sums: Iterable[Sum]) -> Sum:
    together = Sum()
    for one in sums:
        together = together.plus(one)
    return together


def _largest(rows: Sequence[tuple[Key, Sum]], top: int) -> set[Key]:
    ranked = sorted(rows, key=lambda row: (*(-part for part in row[1].rank), row[0]))
    return {key for key, _ in (ranked[:top] if top else ranked)}


def _place(asked: Question, key: Key, one: Sum) -> tuple[Any, ...]:
    """Where a row stands: by time, then the larger first, then by name."""
    when = tuple(part for name, part in zip(asked.by, key, strict=True) if name == asked.period)
    return (*when, *(-part for part in one.rank), key)


def _notes(asked: Question, forgotten: Sum) -> tuple[str, ...]:
    if not any(forgotten.usage):
        return ()
    names = " and ".join(name for name in asked.by if name not in tuple(asked.period or ()))
    return (f"by {names} only raw events tell, which are kept for some weeks: what is older stands in one row",)
