"""The provider's word in: reports → kept once each → the windows that they rule, in one transaction.

raw report ─source or API─► Observation ─► record_word ── one transaction ──────────────────────────────
                                            save     each report once, with its own time
                                            judge    core.observations.judging: what they come to, all together
                                            rule     core.ledger.ruling: bounds and percentage of the windows of now
                                            tell     what became of each; throttles are handed on

A throttle says nothing about any quota: it moves the breaker of its account (``service/throttles.py``). What waits for
room is looked at by the cycle that follows every write.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.instants import MICROSECOND, SKEW
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.rebuilding import sets_of
from quota_scheduler.core.ledger.ruling import counted_from, has_grown, rebase, rule
from quota_scheduler.core.ledger.settlement import at_reset
from quota_scheduler.core.limits.limit import Limit, Mode
from quota_scheduler.core.observations.judging import MONTH, judge
from quota_scheduler.core.observations.learning import Elsewhere, elsewhere
from quota_scheduler.core.observations.observation import Observation, Throttle
from quota_scheduler.core.observations.points import POINT
from quota_scheduler.core.observations.report_key import LENGTHS, ReportKey
from quota_scheduler.core.observations.reported_window import ReportedWindow
from quota_scheduler.core.tickets.ticket import State
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.service.throttles import throttled
from quota_scheduler.store import Transaction, ledger, observations, observed_rates, tickets, windows

OLDEST = timedelta(days=35)
"""A report from before that says nothing about any window that is open, nor with which usage it could be compared."""
WINDOWS_JUDGED = 3
"""Reports of this many lengths of a window are judged together: enough to know which windows came before it."""


class WordRecorded(Struct, frozen=True):
    """What became of reports: the three counts add up to how many there were.

    ``skewed`` of the accepted ones claimed to be from further ahead than a clock may be wrong by, and count as from
    now. ``throttles`` are those that were handed in: they moved the breaker of their account.
    """

    accepted: int = 0
    duplicate: int = 0
    too_old: int = 0
    skewed: int = 0
    throttles: tuple[Throttle, ...] = ()


def record_word(
    tx: Transaction, reports: Sequence[Observation], throttles: Sequence[Throttle], limits: Sequence[Limit]
) -> WordRecorded:
    """Keep what providers said, and let it rule the windows of ``limits`` that observe it.

    The order in which reports come does not matter: each counts at its own time.
    """
    throttled(tx, throttles)
    accepted = duplicate = too_old = skewed = 0
    about: set[ReportKey] = set()
    for report in reports:
        if report.observed_at < tx.now - OLDEST:
            too_old += 1
            continue
        if report.observed_at > tx.now + SKEW:
            report, skewed = replace(report, observed_at=tx.now), skewed + 1
        if observations.record(tx, report):
            accepted += 1
            about.add(ReportKey.of(report))
        else:
            duplicate += 1
    rule_windows(tx, [limit for limit in limits if limit.observed in about])
    return WordRecorded(accepted, duplicate, too_old, skewed, tuple(throttles))


def rule_windows(tx: Transaction, limits: Sequence[Limit]) -> None:
    """Let what providers have said rule the windows of those limits that observe it, from all that is kept."""
    observed = [limit for limit in limits if limit.observed and limit.mode is not Mode.OFF]
    if not observed:
        return
    balances = windows.load(tx, observed, tickets=())
    counted = {balance.id: balance.anchored_at for balance in balances.all()}
    reported = {key: judged(tx, key) for key in {limit.observed for limit in observed if limit.observed}}
    fresh: list[Balance] = []
    for limit in observed:
        about = reported.get(limit.observed) if limit.observed else None
        if not about:
            continue
        instance = LimitInstance(limit, "")
        events = _used(tx, balances, [instance], since=counted_from(about[-1], limit))
        balance = rule(balances, instance, about[-1], events)
        if balance and limit.unit is Unit.PERCENT:
            balance.drift = round(used_elsewhere(tx, limit, about[-1]).per_hour * POINT)
        if balance and balance.reported and has_grown(about[-1], balance, counted.get(balance.id)):
            fresh.append(balance)
    if fresh:
        windows.recall(tx, balances, tickets=None)
        _rebase(tx, balances, fresh)
    windows.save(tx, balances)


def _rebase(tx: Transaction, balances: Balances, fresh: Sequence[Balance]) -> None:
    """Take what leases reported into the words that have grown, and let them remember it: they settle the rest."""
    running = {ticket.id: ticket for ticket in tickets.open_tickets(tx) if ticket.state is State.RUNNING}
    leases = {number: ticket.lease for number, ticket in running.items() if ticket.lease}
    moved: set[int] = set()
    for balance in fresh:
        moved |= rebase(balances, balance, leases)
    at = min(balance.anchored_at for balance in fresh if balance.anchored_at) + MICROSECOND
    remembering = [running[number]._replace(lease=at_reset(leases[number], at)) for number in sorted(moved)]
    tickets.save(tx, remembering, {}, new=tickets.sequence(tx, "ticket"))


def used_elsewhere(tx: Transaction, limit: Limit, reported: ReportedWindow) -> Elsewhere:
    """What of a reported window nobody here used, as far as its spans were measured."""
    spans = [span for span in observed_rates.spans(tx, limit.id) if span.began_at >= reported.began_at]
    return elsewhere(spans, limit.rate, tx.now)


def judged(tx: Transaction, key: ReportKey) -> list[ReportedWindow]:
    """The newest windows of an account as its reports describe them, oldest first."""
    length = LENGTHS[key.window]
    return judge(observations.since(tx, key, tx.now - WINDOWS_JUDGED * (length or MONTH)), length)


def _used(
    tx: Transaction, balances: Balances, instances: Collection[LimitInstance], *, since: datetime
) -> list[UsageEvent]:
    """What instances used from an instant on."""
    numbers = sets_of(instances, ledger.label_sets(tx), balances)
    return ledger.between(tx, since, tx.now + SKEW + MICROSECOND, label_sets=numbers)
