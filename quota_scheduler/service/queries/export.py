"""What the ledger holds, as what ``POST /v1/usage`` takes: written out here, imported there, it adds up to the same."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from quota_scheduler.core.instants import HOUR_MICROS, from_micros, iso, to_micros
from quota_scheduler.core.labels import LABEL_NAMES, Labels
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.usage import KINDS, PriceTerms, Usage, UsageEvent
from quota_scheduler.service.queries.usage_history import safe_cell
from quota_scheduler.store import Transaction, ledger
from quota_scheduler.store import history as rows

PICO_DIGITS = 12
"""Decimals of a dollar that a cost is kept to."""
COLUMNS = (
    *("at", "provider", "account", "model", "team", "project", "workflow", "task_type", "agent", "class"),
    *(*KINDS, "requests", "cost_usd", "run", "session", "key", "message", "origin", "extent", "status", "flags"),
)
"""What a spreadsheet gets of an event."""


def export_page(
    tx: Transaction, kind: str, *, after: int, since: datetime | None, most: int, scope: Scope = EVERYBODY
) -> dict[str, Any]:
    """Up to ``most`` events in the order they were recorded, behind ``after``; ``next`` is null at the end.

    Those of other scopes are left out of the page.
    """
    page = _rollups(tx, after, since, most) if kind == "rollups" else _events(tx, after, since, most)
    numbered = list(page)
    return {
        "events": [document for _, document in numbered if _is_of(scope, document)],
        "next": numbered[-1][0] if len(numbered) == most else None,
    }


def _is_of(scope: Scope, document: Mapping[str, Any]) -> bool:
    return scope.holds(Labels(document["provider"], **document.get("labels", {})))


def _events(tx: Transaction, after: int, since: datetime | None, most: int) -> Iterator[tuple[int, dict[str, Any]]]:
    begin = to_micros(since) if since else -(2**62)
    for number, event in ledger.numbered(tx, "e.id > ? AND e.at >= ? ORDER BY e.id LIMIT ?", (after, begin, most)):
        yield number, event_document(event)


def event_document(event: UsageEvent) -> dict[str, Any]:
    """One event; what is empty is left out, and so is a cost that follows from the prices."""
    terms = event.terms or PriceTerms()
    given = {
        "run": event.run if event.run != event.session else "",
        "session": event.session,
        "labels": _labels(event.labels),
        "flags": list(event.flags),
        "status": event.status,
        "prompt_version": event.prompt_version,
        "class": event.priority.value,
        "speed": terms.speed,
        "inference_geo": terms.geo,
        "service_tier": terms.tier,
        "web_searches": terms.web_searches,
        "message": event.message,
        "sidechain": event.sidechain,
        "origin": event.origin,
        "extent": event.extent.value,
        "cost_usd": cost_text(event.usage) if event.cost_given else "",
    }
    return {
        "provider": event.labels.provider,
        "key": event.key,
        "at": iso_exactly(event.at),
        "model": event.labels.model,
        **_tokens(event.usage),
        **{name: value for name, value in given.items() if value},
    }


def _rollups(tx: Transaction, after: int, since: datetime | None, most: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Sums by hour as events of their own, each with what it cost; a place is what was counted before it."""
    sets = ledger.label_sets(tx)
    for place, (hour, label_set, usage) in enumerate(rows.sums_by_hour(tx, since, after, most), after + 1):
        labels, priority = sets[label_set]
        at = from_micros(hour * HOUR_MICROS)
        yield (
            place,
            {
                "provider": labels.provider,
                "key": f"hour:{at:%Y-%m-%dT%H}:{label_set}",
                "at": iso(at),
                "model": labels.model,
                **_tokens(usage),
                "labels": _labels(labels),
                "class": priority.value,
                "cost_usd": cost_text(usage),
            },
        )


def _tokens(usage: Usage) -> dict[str, int]:
    return {**dict(zip(KINDS, usage.kinds, strict=True)), "requests": usage.requests}


def _labels(labels: Labels) -> dict[str, str]:
    names = (name for name in LABEL_NAMES if name not in ("provider", "model"))
    return {name: labels.value(name) for name in names if labels.value(name)}


def cost_text(usage: Usage) -> str:
    """A cost in dollars, to the pico-dollar, without noughts at its end."""
    text = f"{Decimal(usage.cost_pico).scaleb(-PICO_DIGITS):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def json_lines(pages: Iterable[list[dict[str, Any]]]) -> Iterator[str]:
    """Pages of events as JSON lines, a page at a time."""
    for page in pages:
        yield "".join(f"{json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n" for event in page)


def csv_lines(pages: Iterable[list[dict[str, Any]]]) -> Iterator[str]:
    """Pages of events as CSV, a page at a time, with labels in columns of their own; names first."""
    yield _csv([dict(zip(COLUMNS, COLUMNS, strict=True))])
    for page in pages:
        yield _csv([{**event, **event.get("labels", {})} for event in page])


def _csv(rows: Iterable[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = " ".join(value)
    return safe_cell(value) if isinstance(value, str) else value


def iso_exactly(at: datetime) -> str:
    """RFC 3339 in UTC to the microsecond, which copies of an event are told apart by."""
    return at.isoformat().replace("+00:00", "Z")
