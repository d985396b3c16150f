"""Forecasts in the store: track records, predictions that await judgement, unmet demand, and sums they start from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from quota_scheduler.core.cycle.closing import UnmetDemand
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.track_record import Prediction, TrackRecord
from quota_scheduler.core.instants import HOUR_MICROS, from_micros, to_micros
from quota_scheduler.core.limits.limit import parts_of
from quota_scheduler.store import Transaction

_UNMET = (
    "INSERT INTO unmet (hour, instance, rank, amount, changed_at) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (hour, instance, rank) DO UPDATE SET amount = max(0, unmet.amount + excluded.amount), "
    "changed_at = excluded.changed_at"
)


def tracks(tx: Transaction) -> dict[str, tuple[str, TrackRecord]]:
    """Every track record by limit instance, with the shape of the limit that it was earned under."""
    rows = tx.rows("SELECT instance, shape, body FROM tracks")
    return {instance: (shape, TrackRecord.from_dict(json.loads(body))) for instance, shape, body in rows}


def save_tracks(tx: Transaction, changed: Mapping[str, tuple[str, TrackRecord]]) -> None:
    """Keep track records."""
    now = to_micros(tx.now)
    tx.many(
        "INSERT INTO tracks (instance, shape, body, changed_at) VALUES (?, ?, ?, ?) ON CONFLICT (instance) "
        "DO UPDATE SET shape = excluded.shape, body = excluded.body, changed_at = excluded.changed_at",
        [(name, shape, json.dumps(track.to_dict()), now) for name, (shape, track) in sorted(changed.items())],
    )


def predictions(tx: Transaction) -> list[Prediction]:
    """Every forecast that awaits judgement, in the order in which they will be judged."""
    rows = tx.rows("SELECT instance, part, amount, body FROM predictions ORDER BY instance, starts_at, part")
    return [
        Prediction(instance, part, Forecast.from_dict(json.loads(body)), amount)
        for instance, part, amount, body in rows
    ]


def save_predictions(tx: Transaction, made: Iterable[Prediction]) -> None:
    """Keep forecasts until their windows have closed; the first of its part stays."""
    tx.many(
        "INSERT INTO predictions (instance, starts_at, part, amount, body) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (instance, starts_at, part) DO NOTHING",
        [
            (p.instance, to_micros(p.forecast.starts_at), p.part, p.amount, json.dumps(p.forecast.to_dict()))
            for p in made
        ],
    )


def forget_predictions(tx: Transaction, settled: Iterable[Prediction]) -> None:
    """Drop forecasts that were judged, or whose window never ran its course."""
    tx.many(
        "DELETE FROM predictions WHERE instance = ? AND starts_at = ? AND part = ?",
        [(p.instance, to_micros(p.forecast.starts_at), p.part) for p in settled],
    )


def ended_with(tx: Transaction, instance: str, starts_at: datetime) -> tuple[datetime, int, str] | None:
    """The end of a window, what was used in it, and why it ended early if it did; None when it was never used."""
    rule, value = parts_of(instance)
    row = tx.row(
        "SELECT ends_at, used + reported, end_reason FROM windows WHERE rule = ? AND value = ? AND starts_at = ? "
        "ORDER BY end_reason DESC",
        (rule, value, to_micros(starts_at)),
    )
    return (from_micros(row[0]), row[1], row[2]) if row else None


def record_unmet(tx: Transaction, demand: Iterable[UnmetDemand]) -> None:
    """Add unmet demand to the hours in which it arrived."""
    now = to_micros(tx.now)
    tx.many(
        _UNMET, [(to_micros(row.arrived_at) // HOUR_MICROS, row.instance, row.rank, row.amount, now) for row in demand]
    )


def unmet(tx: Transaction, *, since: datetime, changed_since: datetime | None) -> list[tuple[datetime, str, int, int]]:
    """Unmet demand from an hour on, only what changed lately if asked: hour, limit instance, rank, amount."""
    changed = to_micros(changed_since) if changed_since else -1
    rows = tx.rows(
        "SELECT hour, instance, rank, amount FROM unmet WHERE hour >= ? AND changed_at >= ? ORDER BY hour",
        (to_micros(since) // HOUR_MICROS, changed),
    )
    return [(from_micros(hour * HOUR_MICROS), instance, rank, amount) for hour, instance, rank, amount in rows]


def forget_unmet(tx: Transaction, before: datetime) -> None:
    """Drop unmet demand that is too old for any forecast."""
    tx.send("DELETE FROM unmet WHERE hour < ?", (to_micros(before) // HOUR_MICROS,))


def run_days(tx: Transaction, start: datetime) -> Sequence[tuple[int, datetime]]:
    """Runs that began since then: label set and begin, oldest first."""
    rows = tx.rows("SELECT label_set, started_at FROM runs WHERE last_at >= ? ORDER BY started_at", (to_micros(start),))
    return [(row[0], from_micros(row[1])) for row in rows]
