"""Finished runs as examples for the next estimate; kept longer than their tickets, and only the newest of each kind."""

from collections.abc import Iterable

from quota_scheduler.core.cycle.closing import FinishedRun
from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.tickets.run_history import NEWEST, Finished
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Transaction

KEPT = 10 * NEWEST
"""Examples kept of a workflow or task type: enough to find twenty of alike length."""
_COLUMNS = "ticket, ended_at, workflow, task_type, words, expected, guessed, " + ", ".join(Usage._fields[:6])
_RANKED = (
    f"(SELECT {_COLUMNS}, row_number() OVER (PARTITION BY workflow ORDER BY ended_at DESC, ticket DESC) AS a, "
    "row_number() OVER (PARTITION BY task_type ORDER BY ended_at DESC, ticket DESC) AS b FROM finished_runs) AS ranked "
    "WHERE a <= ? OR b <= ?"
)
"""The newest of each workflow and of each task type."""
_INSERT = f"INSERT INTO finished_runs ({_COLUMNS}) VALUES ({', '.join('?' * 13)}) ON CONFLICT (ticket) DO NOTHING"


def remember(tx: Transaction, runs: Iterable[FinishedRun]) -> None:
    """Keep what there is to learn from finished runs; the first word about a ticket stays."""
    rows = []
    for ticket, run in ((run.ticket, run.example) for run in runs if run.example):
        at, guessed = to_micros(run.ended_at), int(run.guessed)
        rows.append((ticket, at, run.workflow, run.task_type, run.words, run.expected, guessed, *run.usage[:6]))
    tx.many(_INSERT, rows)


def load(tx: Transaction) -> list[Finished]:
    """Every example that is to be kept, newest first: of runs that end by the thousand most go when pruned next.

    There may be thousands of them, and few names: each name is one text in memory.
    """
    names: dict[str, str] = {}
    rows = tx.rows(f"SELECT {_COLUMNS} FROM {_RANKED} ORDER BY ended_at DESC, ticket DESC", (KEPT, KEPT))
    return [
        Finished(
            from_micros(at),
            names.setdefault(workflow, workflow),
            names.setdefault(task, task),
            words,
            expected,
            bool(guessed),
            Usage(*usage),
        )
        for _, at, workflow, task, words, expected, guessed, *usage in rows
    ]


def prune(tx: Transaction) -> int:
    """Drop what neither its workflow nor its task type needs any more; returns how many."""
    return tx.execute(f"DELETE FROM finished_runs WHERE ticket NOT IN (SELECT ticket FROM {_RANKED})", (KEPT, KEPT))
