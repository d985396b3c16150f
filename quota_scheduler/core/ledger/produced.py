"""What sessions produced: commits and pull requests, as the programs that made them count them.

A delta is kept under its series and span, so that the same export twice counts once; a cumulative series adds what it
has grown by since its last report, as sums of tokens do.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.ledger.metered import SeriesState, grown


class Product(StrEnum):
    """What is counted."""

    COMMITS = "commits"
    PULL_REQUESTS = "pull_requests"


class Produced(Struct, frozen=True):
    """So many of a ``product`` in a session, from ``start`` to ``until`` in nanoseconds; ``run`` as exports say it."""

    series: str
    product: Product
    session: str
    run: str
    at: datetime
    start: int
    until: int
    value: int
    is_cumulative: bool = False

    @property
    def key(self) -> str:
        """Under what it counts once."""
        return f"{self.series}:{self.until:x}:{0 if self.is_cumulative else self.start:x}"


def by_group(made: Mapping[str, Mapping[Product, int]], groups: Mapping[str, str]) -> dict[str, dict[Product, int]]:
    """What runs made, added up by the group that each is in; runs in none are left out."""
    sums: dict[str, dict[Product, int]] = {}
    for run, products in made.items():
        if (group := groups.get(run)) is not None:
            of_group = sums.setdefault(group, {})
            for product, value in products.items():
                of_group[product] = of_group.get(product, 0) + value
    return sums


def settle(
    points: Iterable[Produced], known: Mapping[str, SeriesState]
) -> tuple[list[Produced], dict[str, SeriesState]]:
    """Return what points add, given where their cumulative series stood, and where those stand now."""
    added: list[Produced] = []
    states: dict[str, SeriesState] = {}
    for point in points:
        if not point.is_cumulative:
            added.append(point)
            continue
        state = SeriesState(point.start, point.until, point.value, 0)
        more = grown(state, states.get(point.series) or known.get(point.series))
        if more is None:
            continue
        states[point.series] = state
        added.append(replace(point, value=more))
    return [point for point in added if point.value > 0], states
