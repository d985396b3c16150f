"""Refusals and answers of providers move the breakers of their accounts, in the transaction that records them.

throttle (429, 529 without a window) ─► throttled ─┐
usage events                         ─► answered  ─┴─ load breakers → core.admission.breakers → save what moved
"""

from collections.abc import Sequence
from datetime import datetime

from quota_scheduler.core.admission.breakers import Account
from quota_scheduler.core.observations.observation import Throttle
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.store import Transaction, breakers


def throttled(tx: Transaction, throttles: Sequence[Throttle]) -> None:
    """Providers have refused for a moment: new starts of these accounts wait, what runs goes on."""
    if throttles:
        there = breakers.load(tx)
        there.refuse(throttles, tx.now)
        breakers.save(tx, there.changed)


def answered(tx: Transaction, events: Sequence[UsageEvent]) -> None:
    """Usage has arrived: where an account's pause is over, its provider answers again."""
    there = breakers.load(tx)
    if not list(there):
        return
    newest: dict[Account, datetime] = {}
    for event in events:
        account = event.labels.provider, event.labels.account
        newest[account] = max(event.at, newest.get(account, event.at))
    there.answer(newest, tx.now)
    breakers.save(tx, there.changed)
