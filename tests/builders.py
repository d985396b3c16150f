"""Valid values of the core; each case overrides what it is about."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Holdback, Limit
from quota_scheduler.core.limits.schedule import Calendar, Every, PerRun, Session, Unwindowed, Window
from quota_scheduler.core.observations.observation import Observation, ProviderWindow
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.readings import BalanceReading, LimitQueueReading, LimitReading, ProjectionReading
from quota_scheduler.core.tickets.estimate import declared
from quota_scheduler.core.tickets.ticket import Lease, ModelUsage, State, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage, UsageEvent

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
"""Nine o'clock on a Monday: where most cases begin."""
MICRO, SECOND, MINUTE = timedelta(microseconds=1), timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
"""The reset of a daily window that contains ``MONDAY``."""
DAILY, MONTHLY, FIVE_HOURS = Calendar(Every.DAY), Calendar(Every.MONTH), Session(timedelta(hours=5))
NOTHING_HELD_BACK = Holdback(per_mille=0)


def at(text: str) -> datetime:
    """An instant from ISO text."""
    return datetime.fromisoformat(text).astimezone(UTC)


def some_labels(**changes: str) -> Labels:
    """Labels of one provider."""
    return Labels("anthropic")._replace(**changes)


def a_limit(amount: int = 100, **changes: Any) -> Limit:
    """A daily limit on tokens that holds nothing back."""
    fields: dict[str, Any] = {"id": "day", "unit": Unit.TOKENS, "schedule": DAILY, "holdback": NOTHING_HELD_BACK}
    return Limit(amount=amount, **(fields | changes))


def a_session_limit(amount: int = 100, **changes: Any) -> Limit:
    """Five hours from the first use."""
    return a_limit(amount, **({"id": "session", "schedule": FIVE_HOURS} | changes))


def a_concurrency_limit(amount: int = 1, **changes: Any) -> Limit:
    """So many leases at once."""
    return a_limit(amount, **({"id": "leases", "schedule": Unwindowed(), "unit": Unit.LEASES} | changes))


def a_run_cap(amount: int = 100, **changes: Any) -> Limit:
    """So much for each run."""
    return a_limit(amount, **({"id": "run-cap", "schedule": PerRun(), "per": "run"} | changes))


def some_usage(tokens: int = 10, **changes: int) -> Usage:
    """One request's output."""
    return Usage(output=tokens, requests=1)._replace(**changes)


def a_usage_event(tokens: int = 10, *, key: str = "e1", at: datetime = MONDAY, **changes: Any) -> UsageEvent:
    """One call; names of labels go to its labels."""
    labels = some_labels(**{name: changes.pop(name) for name in Labels._fields if name in changes})
    return UsageEvent(key, at, labels, changes.pop("usage", some_usage(tokens)), **changes)


def a_ticket(tokens: int = 10, *, number: int = 0, at: datetime = MONDAY, **changes: Any) -> Ticket:
    """A normal ticket that says how much it needs; names of labels go to its labels."""
    labels = some_labels(**{name: changes.pop(name) for name in Labels._fields if name in changes})
    fields: dict[str, Any] = {
        "key": f"k{number}",
        "body": f"{tokens}",
        "labels": labels,
        "priority": Priority.NORMAL,
        "estimate": declared(some_usage(tokens)),
        "created_at": at,
        "waiting_since": at,
        "ttl": timedelta(hours=4),
    }
    return Ticket(id=number, **(fields | changes))


def a_lease(fence: int = 1, *, at: datetime = MONDAY, **changes: Any) -> Lease:
    """Four hours' right to run."""
    fields: dict[str, Any] = {"granted_at": at, "expires_at": at + timedelta(hours=4), "ttl": timedelta(hours=4)}
    return Lease(fence, **(fields | changes))


def a_running_ticket(tokens: int = 10, *, number: int = 1, **changes: Any) -> Ticket:
    """A ticket with its lease."""
    return a_ticket(tokens, number=number, **({"state": State.RUNNING, "lease": a_lease(number)} | changes))


def a_report(tokens: int, model: str = "") -> ModelUsage:
    """What a lease says it has used."""
    return ((model, some_usage(tokens)),)


def a_window(start: datetime = MONDAY, length: timedelta = DAY) -> Window:
    """A day from Monday morning."""
    return Window(start, start + length)


def an_observation(ratio: float | None = 0.1, *, at: datetime = MONDAY, **changes: Any) -> Observation:
    """What a status line said about the five hours of one account."""
    fields: dict[str, Any] = {"provider": "anthropic", "account": "max-1", "window": ProviderWindow.FIVE_HOUR}
    return Observation(**(fields | {"observed_at": at, "source": "statusline", "used_ratio": ratio} | changes))


def some_balances(*limits: Limit, now: datetime = MONDAY, rows: Iterable[Balance] = ()) -> Balances:
    """Balances as loaded from the store."""
    return Balances(limits, rows, now=now)


PARTS_OF_A_READING = {"balance": BalanceReading, "projection": ProjectionReading, "queue": LimitQueueReading}


def a_reading(before: LimitReading | None = None, **changes: Any) -> LimitReading:
    """A limit's reading, or ``before`` with changes; the fields of its balance, projection and queue by their names."""
    parts: dict[str, Any] = {}
    for name, kind in PARTS_OF_A_READING.items():
        given = {field: changes.pop(field) for field in kind.__struct_fields__ if field in changes}
        parts[name] = replace(getattr(before, name), **given) if before else kind(**given)
    return replace(before, **parts, **changes) if before else LimitReading(**parts, **changes)
