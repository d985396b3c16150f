"""What was learned of limits in percent: the spans of their windows, and the rate that those teach."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.instants import from_micros, instant_or_none, micros_or_none, to_micros
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.observations.learning import GrowthSpan, Learned
from quota_scheduler.core.observations.points import Rate
from quota_scheduler.store import Transaction
from quota_scheduler.store.windows import shape_text

KEPT = timedelta(days=120)
"""Spans older than eight half-lives teach nothing any more."""


def spans(tx: Transaction, rule: str) -> list[GrowthSpan]:
    """The spans of a limit, oldest first."""
    rows = tx.rows(
        "SELECT began_at, ended_at, points, cost FROM observed_spans WHERE rule = ? ORDER BY began_at", (rule,)
    )
    return [GrowthSpan(from_micros(began), from_micros(ended), points, cost) for began, ended, points, cost in rows]


def save_spans(tx: Transaction, rule: str, fresh: Sequence[GrowthSpan], *, since: datetime) -> None:
    """Replace the spans of a limit from an instant on, and drop those that are too old."""
    tx.send(
        "DELETE FROM observed_spans WHERE rule = ? AND (began_at >= ? OR ended_at < ?)",
        (rule, to_micros(since), to_micros(tx.now - KEPT)),
    )
    tx.many(
        "INSERT INTO observed_spans (rule, began_at, ended_at, points, cost) VALUES (?, ?, ?, ?, ?) ON CONFLICT "
        "(rule, began_at) DO UPDATE SET ended_at = excluded.ended_at, points = excluded.points, cost = excluded.cost",
        [(rule, to_micros(span.began_at), to_micros(span.ended_at), span.points, span.cost) for span in fresh],
    )


def forget_others(tx: Transaction, limits: Iterable[Limit]) -> None:
    """Drop what was learned of limits that are gone, or that select or count something else now."""
    shapes = {limit.id: shape_text(limit) for limit in limits}
    stale = [(rule,) for rule, shape in tx.rows("SELECT rule, shape FROM observed_rates") if shapes.get(rule) != shape]
    tx.many("DELETE FROM observed_spans WHERE rule = ?", stale)
    tx.many("DELETE FROM observed_rates WHERE rule = ?", stale)


def learned(tx: Transaction) -> dict[str, Learned]:
    """What is known of each limit, by its id."""
    return {rule: _learned(json.loads(body)) for rule, body in tx.rows("SELECT rule, body FROM observed_rates")}


def save(tx: Transaction, limit: Limit, learned: Learned) -> None:
    """Keep what was learned of a limit."""
    body = {"rate": _body(learned.rate), "since": micros_or_none(learned.since), "before": _body(learned.before)}
    tx.send(
        "INSERT INTO observed_rates (rule, shape, body) VALUES (?, ?, ?) "
        "ON CONFLICT (rule) DO UPDATE SET shape = excluded.shape, body = excluded.body",
        (limit.id, shape_text(limit), json.dumps(body)),
    )


def _body(rate: Rate | None) -> list[int] | None:
    return [rate.low, rate.middle, rate.high, rate.spans, to_micros(rate.learned_at)] if rate else None


def _learned(body: dict[str, Any]) -> Learned:
    before = _rate(body["before"]) if body["before"] else None
    return Learned(_rate(body["rate"]), instant_or_none(body["since"]), before)


def _rate(row: Sequence[int]) -> Rate:
    low, middle, high, count, at = row
    return Rate(low, middle, high, count, from_micros(at))
