"""Breakers: one row an account whose provider refuses, or did so lately."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from quota_scheduler.core.admission.breaker import Breaker
from quota_scheduler.core.admission.breakers import Account, Breakers
from quota_scheduler.core.instants import MICROSECOND, from_micros, instant_or_none, micros_or_none, to_micros
from quota_scheduler.store import Row, Transaction, turns


def load(tx: Transaction) -> Breakers:
    """Every breaker that is not forgotten by now."""
    return ask(tx)()


def ask(tx: Transaction) -> Callable[[], Breakers]:
    """The same, asked now and taken later."""
    rows = tx.ask(
        "SELECT provider, account, opened_at, moved_at, until, pause, refusals, probe, probing_since, closed_at "
        "FROM breakers ORDER BY provider, account"
    )
    return lambda: Breakers((_breaker(row) for row in rows()), now=tx.now)


def _breaker(row: Row) -> Breaker:
    provider, account, opened_at, moved_at, until, pause, refusals, probe, probing_since, closed_at = row
    return Breaker(
        provider,
        account,
        from_micros(opened_at),
        from_micros(moved_at),
        from_micros(until),
        timedelta(microseconds=pause),
        refusals,
        probe,
        instant_or_none(probing_since),
        instant_or_none(closed_at),
    )


def save(tx: Transaction, changed: Mapping[Account, Breaker | None]) -> None:
    """Write the breakers that moved; None is one that is forgotten. Whoever knew of none looks again."""
    if changed:
        turns.take(tx)
    for (provider, account), breaker in sorted(changed.items()):
        tx.send("DELETE FROM breakers WHERE provider = ? AND account = ?", (provider, account))
        if breaker is not None:
            tx.send(
                "INSERT INTO breakers (provider, account, opened_at, moved_at, until, pause, refusals, probe, "
                "probing_since, closed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                _row(breaker),
            )


def _row(breaker: Breaker) -> Row:
    return (
        breaker.provider,
        breaker.account,
        to_micros(breaker.opened_at),
        to_micros(breaker.moved_at),
        to_micros(breaker.until),
        breaker.pause // MICROSECOND,
        breaker.refusals,
        breaker.probe,
        micros_or_none(breaker.probing_since),
        micros_or_none(breaker.closed_at),
    )
