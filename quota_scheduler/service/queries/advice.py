"""Suggestions as a document: what recorded runs and windows would have cost less, and how that is known."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import asdict

from quota_scheduler.core.advice.peaks import peaks
from quota_scheduler.core.advice.risks import AtRisk
from quota_scheduler.core.advice.suggest import suggestions
from quota_scheduler.core.advice.suggestion import Suggestion
from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.instants import iso, parse_instant
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.sight import EVERYTHING, ScopeView
from quota_scheduler.core.pricing import Priced
from quota_scheduler.core.readings.sighted import sees
from quota_scheduler.core.units import MICRO, PICO, Unit
from quota_scheduler.core.usage import Usage
from quota_scheduler.service.queries.usage import runs_of
from quota_scheduler.store import Transaction, documents, history, spans

PriceOf = Callable[[Labels, Usage, datetime], Priced]
MOST_WINDOWS = 100_000
"""Windows of one answer: five limits of two hours over a year are 22,000."""


def suggestions_document(
    tx: Transaction, limits: Sequence[Limit], price: PriceOf, days: int, *, zone: str, sight: ScopeView = EVERYTHING
) -> dict[str, Any]:
    """What the last ``days`` suggest, what saves most first; to who is bound, of its own runs and limits alone."""
    by_id = {limit.id: limit for limit in limits}
    since = tx.now - timedelta(days=days)
    runs = runs_of(tx, since, sight.scope)
    caps = [limit.amount for limit in limits if limit.is_per_run and limit.unit is Unit.TOKENS]

    def priced(run: RunSummary, usage: Usage) -> int:
        return price(Labels(provider=run.provider, model=run.model), usage, run.last_at).pico // PICO

    used_up = {name: counts for name, counts in _exhaustions(tx, limits, since).items() if sees(sight, by_id, name)}
    risks, cap = [risk for risk in _risks(tx) if sees(sight, by_id, risk.limit)], min(caps, default=None)
    advice = suggestions(runs, priced, exhaustions=used_up, cap=cap, risks=risks)
    return {
        "at": iso(tx.now),
        "days": days,
        "runs": len(runs),
        "suggestions": [_row(one) for one in advice],
        "peaks": None if sight.scope.is_bound else _peaks(tx, since, zone),
    }


def _peaks(tx: Transaction, since: datetime, zone: str) -> dict[str, Any] | None:
    """When most was used, on the clock of ``zone``; None where nothing was."""
    shares = peaks(history.tokens_by_hour(tx, since), zone)
    if shares is None:
        return None
    return {
        "timezone": zone,
        "busiest_hour": shares.hour,
        "busiest_weekday": shares.weekday,
        "hours": [round(share, 4) for share in shares.hours],
        "weekdays": [round(share, 4) for share in shares.weekdays],
    }


def _row(one: Suggestion) -> dict[str, Any]:
    row, interval = asdict(one), one.interval
    del row["interval"]
    return {
        "kind": row.pop("kind"),
        "subject": row.pop("subject"),
        "text": row.pop("text"),
        "saving_usd": round(row.pop("microusd") / MICRO, 6),
        "saving_usd_interval": [round(end / MICRO, 6) for end in interval] if interval else None,
        "saving_tokens": row.pop("tokens"),
        **row,
        "evidence": list(one.evidence),
    }


def _risks(tx: Transaction) -> list[AtRisk]:
    """The limits as last published, whose window is still open."""
    risks = []
    for name, body in documents.load_bodies(tx, "readings").items():
        forecast, ends_at, unit = body.get("forecast"), body.get("ends_at"), Unit(body.get("unit", Unit.TOKENS))
        if forecast and ends_at and parse_instant(ends_at) > tx.now:
            amount, expected, p80 = (
                round(value * unit.base) for value in (body["amount"], forecast["expected"], forecast["p80"])
            )
            confidence = forecast.get("confidence") or 0.0
            risks.append(AtRisk(name, body["risk"], unit, amount, expected, p80, parse_instant(ends_at), confidence))
    return risks


def _exhaustions(tx: Transaction, limits: Sequence[Limit], since: datetime) -> dict[str, tuple[int, int]]:
    """By limit instance, the windows since then that were used up, and all of them."""
    by_id = {limit.id: limit for limit in limits}
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for window in spans.windows_since(tx, since, MOST_WINDOWS):
        limit = by_id.get(window.rule)
        if limit is None or limit.unit is Unit.LEASES or window.end_reason:
            continue
        count = counts[limit.instance_id(window.value)]
        count[0] += window.used >= (window.amount or limit.amount_of(window.value)) > 0
        count[1] += 1
    return {name: (used_up, every) for name, (used_up, every) in counts.items()}
