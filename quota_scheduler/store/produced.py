"""Commits and pull requests by session, and the runs that these sessions are of."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.ledger.produced import Produced, Product
from quota_scheduler.store import Transaction

KEPT = timedelta(days=400)
"""As long as counts of decisions: a month can be compared with that of a year before."""
_BY_RUN = (
    "SELECT coalesce((SELECT e.run FROM events e WHERE e.session = p.session AND e.session != '' AND e.run != '' "
    "ORDER BY e.at DESC LIMIT 1), p.run), p.product, sum(p.value) FROM produced p WHERE p.at >= ? GROUP BY 1, 2"
)
"""A session's usage says which run it is of; where that is gone or never came, what was said with the count."""


def add(tx: Transaction, made: Iterable[Produced]) -> None:
    """Keep what was made; what is kept already is not kept again."""
    tx.many(
        "INSERT INTO produced (number, at, product, session, run, value) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (number) DO NOTHING",
        [(one.key, to_micros(one.at), one.product.value, one.session, one.run, one.value) for one in made],
    )


def by_run(tx: Transaction, since: datetime) -> dict[str, dict[Product, int]]:
    """How much each run made since an instant; runs of which nothing was told are absent."""
    made: dict[str, dict[Product, int]] = {}
    for run, product, value in tx.rows(_BY_RUN, (to_micros(since),)):
        made.setdefault(run, {})[Product(product)] = value
    return made


def prune(tx: Transaction) -> None:
    """Drop what is older than ``KEPT``."""
    tx.send("DELETE FROM produced WHERE at < ?", (to_micros(tx.now - KEPT),))
