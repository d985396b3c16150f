"""Finished runs as examples for the next estimate; kept longer than their tickets, and only the newest of each kind."""

from collections.abc import Iterable, Mapping

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.tickets.run_history import NEWEST, Finished
from quota_scheduler.core.tickets.ticket import Outcome, State, Ticket
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Transaction

KEPT = 10 * NEWEST
"""Examples kept of a workflow or task type: enough to find twenty of alike length."""
_COLUMNS = "ticket, ended_at, workflow, task_type, words, expected, guessed, " + ", ".join(Usage._fields[:6])
_INSERT = f"INSERT INTO finished_runs ({_COLUMNS}) VALUES ({', '.join('?' * 13)}) ON CONFLICT (ticket) DO NOTHING"


def remember(tx: Transaction, closed: Iterable[Ticket], transcribed: Mapping[int, Usage]) -> None:
    """Keep what completed runs took; ``transcribed`` is what sessions brought to the ledger, by fence."""
    rows = []
    for ticket in closed:
        if ticket.state is not State.CLOSED or ticket.outcome is not Outcome.COMPLETED or not ticket.lease:
            continue
        usage = ticket.lease.usage.at_least(transcribed.get(ticket.lease.fence, Usage()))
        if usage.tokens and (ticket.labels.workflow or ticket.labels.task_type):
            estimate = ticket.estimate
            rows.append(
                (ticket.id, to_micros(tx.now), ticket.labels.workflow, ticket.labels.task_type, estimate.words,
                 estimate.guess or estimate.median.tokens, int(estimate.guess > 0), *usage[:6])
            )  # fmt: skip
    tx.many(_INSERT, rows)


def load(tx: Transaction) -> list[Finished]:
    """Every example that is kept."""
    rows = tx.rows(f"SELECT {_COLUMNS} FROM finished_runs ORDER BY ended_at DESC")
    return [
        Finished(from_micros(at), workflow, task, words, expected, bool(guessed), Usage(*usage))
        for _, at, workflow, task, words, expected, guessed, *usage in rows
    ]


def prune(tx: Transaction) -> int:
    """Drop what neither its workflow nor its task type needs any more; returns how many."""
    return tx.execute(
        "DELETE FROM finished_runs WHERE ticket NOT IN (SELECT ticket FROM ("
        "SELECT ticket, row_number() OVER (PARTITION BY workflow ORDER BY ended_at DESC) AS a, "
        "row_number() OVER (PARTITION BY task_type ORDER BY ended_at DESC) AS b FROM finished_runs"
        ") AS ranked WHERE a <= ? OR b <= ?)",
        (KEPT, KEPT),
    )
