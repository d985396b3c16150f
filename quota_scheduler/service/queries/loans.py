"""Who owes whom within pools, and when that was paid back."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from quota_scheduler.core.instants import iso, iso_or_none
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.units import in_units
from quota_scheduler.store import Transaction, loans

MOST = 1_000
"""Loans of one answer."""


SOMEBODY = "another member"
"""Whom a bound token sees at the other end of its loans."""


def loans_document(
    tx: Transaction, limits: Sequence[Limit], days: int, sees: Callable[[str], bool] = lambda _: True
) -> dict[str, Any]:
    """The loans that stand, or ended in the last days, the newest first; amounts in the unit of their pool.

    Of a loan whose one end is not seen the other is not named, and one between two such is left out.
    """
    units = {limit.id: limit.unit for limit in limits}
    return {
        "at": iso(tx.now),
        "loans": [
            {
                "pool": loan.pool,
                "lender": loan.lender if sees(loan.lender) else SOMEBODY,
                "borrower": loan.borrower if sees(loan.borrower) else SOMEBODY,
                "unit": units[loan.pool].value,
                "amount": in_units(loan.amount, units[loan.pool]),
                "most": in_units(loan.most, units[loan.pool]),
                "since": iso(loan.since),
                "due": iso_or_none(loan.ends_at),
                "ended_at": iso_or_none(loan.ended_at),
                "ended": loan.ended or None,
            }
            for loan in loans.since(tx, tx.now - timedelta(days=days), MOST)
            if loan.pool in units and (sees(loan.lender) or sees(loan.borrower))
        ],
    }
