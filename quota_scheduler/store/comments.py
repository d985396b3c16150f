"""Comments at issues: which are owed, what they said last, and what stood in the way."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from quota_scheduler.core.comments.place import CommentPlace
from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.store import Transaction

_COLUMNS = "repo, issue, workflow, ticket, changed_at, version, comment, said, barred, attempts, problem"
_OWE = (
    "INSERT INTO comments (repo, issue, workflow, ticket, changed_at, due_at, version, comment, said, barred, "
    "attempts, problem) VALUES (?, ?, ?, ?, ?, ?, 1, 0, '', ?, 0, '') "
    "ON CONFLICT (repo, issue, workflow) DO UPDATE SET "
    "ticket = excluded.ticket, changed_at = excluded.changed_at, due_at = max(excluded.due_at, coalesce("
    "CASE WHEN comments.attempts > 0 THEN comments.due_at END, 0)), version = comments.version + 1, "
    "barred = CASE WHEN excluded.barred != '[]' OR excluded.ticket != comments.ticket THEN excluded.barred "
    "ELSE comments.barred END WHERE excluded.ticket >= comments.ticket"
)
_AT = "WHERE repo = ? AND issue = ? AND workflow = ?"


class OwedComment(Struct, frozen=True):
    """One comment to be looked at: about which ticket, since when, and what is known of it."""

    place: CommentPlace
    ticket: int
    changed_at: datetime
    version: int
    comment: int
    said: str
    barred: tuple[str, ...]
    attempts: int
    problem: str


def owe(tx: Transaction, changed: Iterable[tuple[CommentPlace, int, Sequence[str]]]) -> None:
    """Owe a comment about each of these tickets, with the limits that turned it away.

    Of several tickets of a workflow at one issue the newest is told of. Waits that a refusal asked for stay.
    """
    now = to_micros(tx.now)
    tx.many(_OWE, [(*place, ticket, now, now, json.dumps(list(barred))) for place, ticket, barred in changed])


def next_due(tx: Transaction, *, after: datetime) -> OwedComment | None:
    """The comment that is due the longest, of those that changed ``after`` an instant; None when none is."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM comments WHERE due_at IS NOT NULL AND due_at <= ? AND changed_at > ? "
        "ORDER BY due_at, repo, issue, workflow LIMIT 1",
        (to_micros(tx.now), to_micros(after)),
    )
    if row is None:
        return None
    place = CommentPlace(row[0], row[1], row[2])
    barred = tuple(json.loads(row[8]))
    return OwedComment(place, row[3], from_micros(row[4]), row[5], row[6], row[7], barred, row[9], row[10])


def written(tx: Transaction, owed: OwedComment, *, comment: int, said: str, again: timedelta | None) -> None:
    """Note what a comment says now; it is looked at ``again`` later, or at once where its ticket changed meanwhile."""
    later = None if again is None else to_micros(tx.now + again)
    tx.send(
        "UPDATE comments SET comment = ?, said = ?, attempts = 0, problem = '', "
        f"due_at = CASE WHEN version = ? THEN ? ELSE due_at END {_AT}",
        (comment, said, owed.version, later, *owed.place),
    )


def put_off(tx: Transaction, owed: OwedComment, *, why: str, by: timedelta | None) -> None:
    """Note why it could not be written, and try again later; not before its ticket changes where ``by`` is None."""
    due = None if by is None else to_micros(tx.now + by)
    tx.send(
        "UPDATE comments SET attempts = attempts + 1, problem = ?, "
        f"due_at = CASE WHEN version = ? OR CAST(? AS BIGINT) IS NOT NULL THEN ? ELSE due_at END {_AT}",
        (why, owed.version, due, due, *owed.place),
    )


def troubles(tx: Transaction) -> list[tuple[CommentPlace, str]]:
    """Comments that could not be written, and why, by place."""
    rows = tx.rows("SELECT repo, issue, workflow, problem FROM comments WHERE problem != '' ORDER BY 1, 2, 3")
    return [(CommentPlace(*row[:3]), row[3]) for row in rows]


def forget(tx: Transaction, before: datetime) -> int:
    """Drop what is known of comments that have not changed since an instant: they are found by their mark."""
    return tx.execute("DELETE FROM comments WHERE changed_at < ?", (to_micros(before),))
