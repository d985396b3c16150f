"""The loan ledger: one row for what one member of a pool owes to another, kept when it has ended."""

from collections.abc import Iterable
from datetime import datetime
from typing import cast

from quota_scheduler.core.admission.loans import Ended, Loan
from quota_scheduler.core.instants import from_micros, instant_or_none, micros_or_none, to_micros
from quota_scheduler.store import Row, Transaction

_COLUMNS = "id, pool, lender, borrower, amount, most, since, ends_at, ended_at, ended"
_OPEN = f"SELECT {_COLUMNS} FROM loans WHERE ended_at IS NULL ORDER BY id"
_SINCE = f"SELECT {_COLUMNS} FROM loans WHERE ended_at IS NULL OR ended_at >= ? ORDER BY id DESC LIMIT ?"


def standing(tx: Transaction) -> list[Loan]:
    """The loans that have not ended."""
    return [_loan(row) for row in tx.rows(_OPEN)]


def since(tx: Transaction, at: datetime, most: int) -> list[Loan]:
    """The loans that stand, or ended since an instant, the newest first."""
    return [_loan(row) for row in tx.rows(_SINCE, (to_micros(at), most))]


def save(tx: Transaction, loans: Iterable[Loan]) -> None:
    """Write loans that began, changed or ended."""
    for loan in loans:
        ended_at = micros_or_none(loan.ended_at)
        if loan.id:
            tx.send(
                "UPDATE loans SET amount = ?, most = ?, ended_at = ?, ended = ? WHERE id = ?",
                (loan.amount, loan.most, ended_at, loan.ended, loan.id),
            )
        else:
            tx.send(
                "INSERT INTO loans (pool, lender, borrower, amount, most, since, ends_at, ended_at, ended) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (loan.pool, loan.lender, loan.borrower, loan.amount, loan.most, to_micros(loan.since),
                 micros_or_none(loan.ends_at), ended_at, loan.ended),
            )  # fmt: skip


def _loan(row: Row) -> Loan:
    number, pool, lender, borrower, amount, most, began, ends_at, ended_at, ended = row
    return Loan(number, pool, lender, borrower, amount, most, from_micros(began), instant_or_none(ends_at),
                instant_or_none(ended_at), cast(Ended, ended))  # fmt: skip
