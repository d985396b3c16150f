"""Own sums, providers' words and bills side by side: each window that was reported on, and the days that are billed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from quota_scheduler.core.instants import MICROSECOND, iso
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.names import canonical_model, canonical_provider
from quota_scheduler.core.observations.bill import Report
from quota_scheduler.core.observations.observation import ProviderWindow
from quota_scheduler.core.observations.points import Rate
from quota_scheduler.core.observations.reconciling import (
    Circumstances,
    Reconciliation,
    reconcile_bill,
    reconcile_word,
)
from quota_scheduler.core.observations.report_key import DEFAULT_ACCOUNT, ReportKey
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import total
from quota_scheduler.service.observe import judged
from quota_scheduler.store import Transaction, bills, ledger, observations, observed_rates, shipped, spans

BILLED = timedelta(days=7)
"""How far back bills are compared: a week holds every weekday once."""
SILENT = timedelta(minutes=15)
"""A shipping host that is this far behind lacks usage that a provider counts already."""


def reconciliation_document(tx: Transaction, limits: Sequence[Limit]) -> dict[str, Any]:
    """Every comparison there is to make, as JSON types."""
    rows = [*_words(tx, limits), *_bills(tx)]
    return {"at": iso(tx.now), "reconciliation": [row.document() for row in rows]}


def _words(tx: Transaction, limits: Sequence[Limit]) -> list[Reconciliation]:
    rates, rows = _rates(tx, limits), []
    for key in observations.keys_of(tx):
        if windows := judged(tx, key):
            window, numbers = windows[-1], _label_sets(tx, partial(_counts_in, key))
            # what a program writes beside the word, with the same time, is in it
            until = window.observed_at + MICROSECOND
            own = spans.used_between(tx, window.began_at, until, numbers)
            around = _circumstances(tx, window.began_at, until, numbers)
            rows.append(reconcile_word(key, window, own, rates.get(key), around, now=tx.now))
    return rows


def _rates(tx: Transaction, limits: Sequence[Limit]) -> dict[ReportKey, Rate]:
    """What was learned of each window that a limit in percent observes."""
    learned = observed_rates.learned(tx)
    return {
        limit.observed: learned[limit.id].rate
        for limit in limits
        if limit.unit is Unit.PERCENT and limit.observed and limit.id in learned
    }


def _counts_in(key: ReportKey, labels: Labels) -> bool:
    """Whether usage counts in a provider's window, by whose it is and by the family that the window is of."""
    if not _is_of(key.provider, key.account, labels):
        return False
    return key.window is not ProviderWindow.WEEKLY_MODEL or key.scope in canonical_model(labels.model)


def _is_of(provider: str, account: str, labels: Labels) -> bool:
    return canonical_provider(labels.provider) == provider and (labels.account or DEFAULT_ACCOUNT) == account


def _bills(tx: Transaction) -> list[Reconciliation]:
    """The whole days of the last week that an account's reports are closed for."""
    rows = []
    for (provider, account), until in spans.billed_until(tx).items():
        end = min(_midnight(until), _midnight(tx.now))
        start = _midnight(tx.now) - BILLED
        lines = [one for one in bills.between(tx, start, end) if (one.provider, one.account) == (provider, account)]
        if not lines:
            continue
        span = (max(start, _midnight(min(line.starts_at for line in lines))), end)
        numbers = _label_sets(tx, partial(_is_of, provider, account))
        costs = [line.usage.cost_pico for line in lines if line.report is Report.COST]
        rows.append(
            reconcile_bill(
                provider,
                account,
                span,
                spans.used_between(tx, *span, numbers),
                total(line.usage for line in lines if line.report is Report.USAGE),
                sum(costs) if costs else None,
                _circumstances(tx, *span, numbers),
            )
        )
    return rows


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _label_sets(tx: Transaction, counts: Callable[[Labels], bool]) -> list[int]:
    return [number for number, (labels, _) in ledger.label_sets(tx).items() if counts(labels)]


def _circumstances(tx: Transaction, start: datetime, end: datetime, numbers: Sequence[int]) -> Circumstances:
    interrupted = spans.interrupted_between(tx, start, end, numbers)
    silent = {one.host for one in shipped.load(tx) if one.behind(end) > SILENT and (one.files or one.errors)}
    return Circumstances(tuple(sorted(silent)), interrupted)
