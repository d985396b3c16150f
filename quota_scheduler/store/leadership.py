"""The one row that says who leads, and what the leader lets the others know."""

from typing import NamedTuple

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.replicas.leadership import Leadership
from quota_scheduler.store import Transaction

READINGS, RULES, SHOWN = "readings", "rules", "shown"
"""What is let known, to other replicas or after a restart: one document each."""


class PublishedBody(NamedTuple):
    """A document of the leader of ``epoch``, saved ``at`` microseconds; who knows its ``shape`` can read it."""

    epoch: int
    at: int
    shape: str
    body: str


def standing(tx: Transaction) -> Leadership:
    """Who leads, as of the last claim, renewal or resignation."""
    row = tx.row("SELECT holder, epoch, ends_at, address, rules FROM leader WHERE id = 1")
    return Leadership(row[0], row[1], from_micros(row[2]), row[3], row[4]) if row else Leadership()


def save(tx: Transaction, leadership: Leadership) -> None:
    """Keep who leads from now on."""
    tx.send(
        "INSERT INTO leader (id, holder, epoch, ends_at, address, rules) VALUES (1, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch, ends_at = excluded.ends_at, "
        "address = excluded.address, rules = excluded.rules",
        (leadership.holder, leadership.epoch, to_micros(leadership.ends_at), leadership.address, leadership.rules),
    )


def publish(tx: Transaction, name: str, epoch: int, *, shape: str, body: str) -> None:
    """Let the others know a document, in place of the one before."""
    tx.send(
        "INSERT INTO published (name, epoch, at, shape, body) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, at = excluded.at, shape = excluded.shape, "
        "body = excluded.body",
        (name, epoch, to_micros(tx.now), shape, body),
    )


def published_mark(tx: Transaction, name: str) -> tuple[int, int] | None:
    """Which document is let known, by epoch and instant; changes with each."""
    row = tx.row("SELECT epoch, at FROM published WHERE name = ?", (name,))
    return (row[0], row[1]) if row else None


def published(tx: Transaction, name: str) -> PublishedBody | None:
    """What was let known last."""
    row = tx.row("SELECT epoch, at, shape, body FROM published WHERE name = ?", (name,))
    return PublishedBody(*row) if row else None
