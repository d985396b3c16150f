"""Events whose rows are gone: hashes of their keys stay, with what was counted for them, so that they count once."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.store import Transaction, doors, facts, session_totals
from quota_scheduler.store.lists import TEXTS

BEFORE = "events_pruned_before"
"""The fact that says before when rows of events are gone: once their keys are forgotten nothing else tells."""


def before(tx: Transaction) -> datetime | None:
    """What was recorded before this instant may have no row any more; None where nothing has been pruned."""
    noted = facts.fact(tx, BEFORE)
    return from_micros(int(noted)) if noted else None


def key_hash(identity: tuple[str, str]) -> str:
    """What stays of an event's key when the event is pruned."""
    return hashlib.blake2b("\0".join(identity).encode(), digest_size=12).hexdigest()


def is_any(tx: Transaction) -> bool:
    """Whether there are any."""
    return bool(tx.scalar("SELECT EXISTS (SELECT 1 FROM pruned_keys)"))


def counted(tx: Transaction, identities: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Tokens that were counted for events whose rows are gone."""
    if not is_any(tx):
        return {}
    hashes = {key_hash(identity): identity for identity in identities}
    rows = tx.rows(
        f"SELECT hash, tokens FROM pruned_keys WHERE hash IN {TEXTS}",
        (json.dumps(list(hashes)),),
    )
    return {hashes[digest]: tokens for digest, tokens in rows}


def keep_key(tx: Transaction, identity: tuple[str, str], tokens: int, at: datetime) -> None:
    """Remember how much was counted for an event whose row is gone."""
    tx.execute(
        "INSERT INTO pruned_keys (hash, tokens, at) VALUES (?, ?, ?) "
        "ON CONFLICT (hash) DO UPDATE SET tokens = excluded.tokens",
        (key_hash(identity), tokens, to_micros(at)),
    )


def prune(tx: Transaction, *, recorded_before: datetime, keys_before: datetime, most: int = 5_000) -> int:
    """Drop raw events recorded before an instant, keeping their keys' hashes, and the oldest hashes; returns how many.

    At most ``most`` events at a time, so that no writer waits long; call again while it returns that many.
    """
    old = tx.rows(
        "SELECT id, provider, key, input + cache_read + cache_write_5m + cache_write_1h + output, at FROM events "
        "WHERE recorded_at < ? ORDER BY recorded_at LIMIT ?",
        (to_micros(recorded_before), most),
    )
    tx.many(
        "INSERT INTO pruned_keys (hash, tokens, at) VALUES (?, ?, ?) ON CONFLICT (hash) DO UPDATE SET "
        "tokens = max(pruned_keys.tokens, excluded.tokens), at = excluded.at",
        [(key_hash((provider, key)), tokens, to_micros(tx.now)) for _, provider, key, tokens, _ in old],
    )
    session_totals.keep_pruned(tx, [row[0] for row in old])
    tx.many("DELETE FROM events WHERE id = ?", [(row[0],) for row in old])
    if old:
        latest = max(recorded_before, before(tx) or recorded_before)
        facts.remember(tx, BEFORE, str(to_micros(latest)))
    doors.prune(tx, recorded_before)
    tx.execute("DELETE FROM pruned_keys WHERE at < ?", (to_micros(keys_before),))
    return len(old)
