"""The provider's word in: reports → kept once each → the windows that they rule, in one transaction.

raw report ─source or API─► Observation ─► record_word ── one transaction ──────────────────────────────
                                            save     each report once, with its own time
                                            tell     what became of each; throttles are handed on

A throttle says nothing about any quota: whoever keeps the account's breaker gets it from the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from quota_scheduler.core.instants import SKEW
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.observations.observation import Observation, Throttle
from quota_scheduler.store import Transaction, observations

OLDEST = timedelta(days=35)
"""A report from before that says nothing about any window that is open, nor with which usage it could be compared."""


@dataclass(frozen=True, slots=True)
class WordRecorded:
    """What became of reports: the three counts add up to how many there were.

    ``skewed`` of the accepted ones claimed to be from further ahead than a clock may be wrong by, and count as from
    now. ``throttles`` are those that were handed in, for the breaker of their account.
    """

    accepted: int = 0
    duplicate: int = 0
    too_old: int = 0
    skewed: int = 0
    throttles: tuple[Throttle, ...] = ()


def record_word(
    tx: Transaction,
    reports: Sequence[Observation],
    throttles: Sequence[Throttle],
    limits: Sequence[Limit],  # noqa: ARG001
) -> WordRecorded:
    """Keep what providers said, and let it rule the windows of ``limits`` that observe it.

    The order in which reports come does not matter: each counts at its own time.
    """
    accepted = duplicate = too_old = skewed = 0
    for report in reports:
        if report.observed_at < tx.now - OLDEST:
            too_old += 1
            continue
        if report.observed_at > tx.now + SKEW:
            report, skewed = replace(report, observed_at=tx.now), skewed + 1
        if observations.record(tx, report):
            accepted += 1
        else:
            duplicate += 1
    return WordRecorded(accepted, duplicate, too_old, skewed, tuple(throttles))
