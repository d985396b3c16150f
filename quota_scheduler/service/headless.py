"""What a headless run printed, in: its session's total and the provider's word, in one transaction.

What the total holds beyond the calls that are listed for the session is worked out with the next tick, as for totals
that stand in transcripts (``settle_unlisted``).
"""

from collections.abc import Sequence

from quota_scheduler.core.ledger.unlisted import SessionTotal
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.observations.observation import Observation, Throttle
from quota_scheduler.service.observe import WordRecorded, record_word
from quota_scheduler.store import Transaction, session_totals

ORIGIN = "claude_code"
"""The door of such usage: that of the transcripts, so that both count as one."""


def record_run(
    tx: Transaction,
    totals: Sequence[SessionTotal],
    observations: Sequence[Observation],
    throttles: Sequence[Throttle],
    limits: Sequence[Limit],
) -> WordRecorded:
    """Record a run; the same output again changes nothing."""
    session_totals.save(tx, ORIGIN, totals)
    return record_word(tx, observations, throttles, limits)
