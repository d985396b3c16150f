"""Reports and usage → what a percent point costs, and what of a window was used elsewhere.

judged windows ─cut─► spans ─what was used here in each─► kept ─► rate

A span is measured again for a quarter of an hour after its end: transcripts are written after the report that counts
them, and other hosts ship theirs later still.
"""

from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from quota_scheduler.core.instants import MICROSECOND
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.rebuilding import sets_of
from quota_scheduler.core.limits.limit import Limit, Mode
from quota_scheduler.core.observations.learning import GrowthSpan, Learned, cuts, is_enough, learn
from quota_scheduler.core.observations.reported_window import ReportedWindow
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import total
from quota_scheduler.service.observe import judged, rule_windows
from quota_scheduler.store import Transaction, ledger, observations, observed_rates, turns, windows

SETTLED = timedelta(minutes=15)
FRESH = 2 * SETTLED
"""Without a report for so long there is nothing new to learn."""


def with_rates(tx: Transaction, limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """The limits with what was learned of those in percent."""
    if not any(limit.unit is Unit.PERCENT for limit in limits):
        return tuple(limits)
    rates = {rule: learned.rate for rule, learned in observed_rates.learned(tx).items()}
    return tuple(replace(limit, rate=rates.get(limit.id)) if limit.unit is Unit.PERCENT else limit for limit in limits)


def learn_rates(tx: Transaction, limits: Sequence[Limit]) -> bool:
    """Learn from what was reported since; returns whether decisions would differ, so that the limits are made anew."""
    percent = [limit for limit in limits if limit.unit is Unit.PERCENT and limit.mode is not Mode.OFF]
    newest = observations.newest_at(tx)
    if not percent or newest is None or newest < tx.now - FRESH:
        return False
    observed_rates.forget_others(tx, percent)
    known, differs = observed_rates.learned(tx), False
    for limit in percent:
        learned = _learn(tx, limit, known.get(limit.id))
        if learned and learned != known.get(limit.id):
            observed_rates.save(tx, limit, learned)
            differs |= not learned.rate.is_near(limit.rate)
    rule_windows(tx, percent)
    if differs:
        turns.terms_moved(tx)
    return differs


def _learn(tx: Transaction, limit: Limit, before: Learned | None) -> Learned | None:
    reported = judged(tx, limit.observed) if limit.observed else []
    _measure(tx, limit, reported)
    if before is None and not any(is_enough(window) for window in reported):
        return None
    return learn(observed_rates.spans(tx, limit.id), tx.now, before=before)


def _measure(tx: Transaction, limit: Limit, reported: Sequence[ReportedWindow]) -> None:
    """Keep what was used here in each span of the windows that are judged."""
    bounds = [pair for window in reported for pair in cuts(window)]
    if not bounds:
        return
    kept = {(span.began_at, span.ended_at): span for span in observed_rates.spans(tx, limit.id)}
    balances = windows.load(tx, [limit], tickets=())
    numbers = sets_of([LimitInstance(limit, "")], ledger.label_sets(tx), balances)
    fresh: list[GrowthSpan] = []
    for start, end in bounds:
        span = kept.get((start.at, end.at))
        if span is None or end.at > tx.now - SETTLED:
            events = ledger.between(tx, start.at + MICROSECOND, end.at + MICROSECOND, label_sets=numbers)
            cost = total(event.usage for event in events).cost_microusd
            span = GrowthSpan(start.at, end.at, round((end.ratio - start.ratio) * 100, 4), cost)
        fresh.append(span)
    if fresh != [kept.get((span.began_at, span.ended_at)) for span in fresh]:
        observed_rates.save_spans(tx, limit.id, fresh, since=fresh[0].began_at)
