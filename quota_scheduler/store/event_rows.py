"""Usage events as rows."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.plain_events import PlainEvents
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import ORDINARY, Extent, PriceTerms, Usage, UsageEvent
from quota_scheduler.store.usage_columns import COLUMNS, columns_of

NO_TERMS = "-"
"""What is stored for a price that depends on nothing but the model: most of them."""
NO_FLAGS = "[]"
EVENT_COLUMNS = (
    f"e.provider, e.key, e.at, {columns_of('e')}, e.run, e.session, e.message, e.sidechain, "
    "e.flags, e.prompt_version, e.status, e.estimated, e.terms, e.origin, e.extent, "
    "l.account, l.model, l.team, l.project, l.workflow, l.task_type, l.agent, l.priority"
)
"""What reading an event takes, of ``events e`` and its ``label_sets l``."""


def event_row(event: UsageEvent, label_set: int, now: int) -> tuple[Any, ...]:
    """The values of an event's row; ``now`` is when it was recorded, in microseconds."""
    flags = json.dumps(event.flags) if event.flags else NO_FLAGS
    return (
        event.labels.provider, event.key, to_micros(event.at), label_set, *event.usage, event.run, event.session,
        event.message, int(event.sidechain), flags, event.prompt_version, event.status,
        int(event.estimated), now, _terms_text(event), event.origin, event.extent.value,
    )  # fmt: skip


PLAIN_COLUMNS = (
    f"key, message, at, {COLUMNS}, estimated, provider, label_set, run, session, sidechain, flags, prompt_version, "
    "status, recorded_at, terms, origin, extent"
)
"""Of plain events: first what differs from call to call, then what a kind has in common."""


def plain_rows(plain: PlainEvents, label_sets: Sequence[int], now: int) -> list[tuple[Any, ...]]:
    """Rows of ``PLAIN_COLUMNS``; ``label_sets`` are those of the kinds."""
    common = [
        (
            like.labels.provider, number, like.run, like.session, int(like.sidechain),
            json.dumps(like.flags) if like.flags else NO_FLAGS, like.prompt_version, like.status, now,
            _terms_text(like), like.origin, like.extent.value,
        )
        for like, number in zip(plain.kinds, label_sets, strict=True)
    ]  # fmt: skip
    single = zip(plain.keys, plain.messages, plain.at, *plain.usage, *plain.costs, strict=True)
    return [one + common[kind] for one, kind in zip(single, plain.kind, strict=True)]


def event_in(row: Sequence[Any]) -> UsageEvent:
    """The event in a row of ``EVENT_COLUMNS``."""
    terms, given = _terms(row[20])
    return UsageEvent(
        key=row[1],
        at=from_micros(row[2]),
        labels=Labels(row[0], *row[23:30]),
        usage=Usage(*row[3:12]),
        run=row[12],
        session=row[13],
        message=row[14],
        sidechain=bool(row[15]),
        flags=flags_in(row[16]),
        prompt_version=row[17],
        status=row[18],
        estimated=bool(row[19]),
        priority=Priority(row[30]),
        terms=terms,
        cost_given=given,
        origin=row[21],
        extent=Extent(row[22]),
    )


def _terms_text(event: UsageEvent) -> str:
    """What an event's price depends on beside its model; one sign where there is nothing to say."""
    if event.terms is ORDINARY and not event.cost_given:
        return NO_TERMS
    if event.terms is None:
        return ""
    return json.dumps([*event.terms, event.cost_given]) if event.cost_given or any(event.terms) else NO_TERMS


def _terms(text: str) -> tuple[PriceTerms | None, bool]:
    if text in ("", NO_TERMS):  # empty: recorded before this was kept
        return (PriceTerms() if text else None), False
    speed, geo, tier, web_searches, given = json.loads(text)
    return PriceTerms(speed, geo, tier, web_searches), given


@lru_cache(1024)
def flags_in(text: str) -> tuple[str, ...]:
    """Flags as they are stored: many runs and kinds share few sets of them."""
    return tuple(json.loads(text))
