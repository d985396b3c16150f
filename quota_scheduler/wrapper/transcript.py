"""What an agent's own files tell of a run: read where its output told less, or where no lease binds both together.

    files of the session ──the service's readers──► events ──► usage of the run, for its lease
                                                       └─────► shipments: counted once, whoever reads the files too

Loaded only where it is needed: the readers take longer to load than all else does to run.
"""

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from quota_scheduler.core.labels import LABEL_NAMES, Labels
from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.core.usage import KINDS, UsageEvent, relabelled, supersedes
from quota_scheduler.shipping.wire import MOST_ELEMENTS, VERSION, Shipment, encoded, shipped
from quota_scheduler.sources import calls, claude_code
from quota_scheduler.sources.agents import AGENTS
from quota_scheduler.sources.tail import ChangedFiles, Look
from quota_scheduler.wrapper.figures import ByModel

BEFORE = timedelta(seconds=1)
"""A line is of this run from so long before its start: agents round."""
CLAUDE = claude_code.NAME


def events_of(agent: str, files: Sequence[Path], session: str, since: datetime) -> list[UsageEvent]:
    """The calls of a session that its files tell of, each once, from an instant on."""
    calls_by_key: dict[tuple[str, str], UsageEvent] = {}
    for batch in _scan(agent, files):
        for event in batch.events:
            before = calls_by_key.get(event.identity)
            if event.session in ("", session) and (before is None or supersedes(event, before)):
                calls_by_key[event.identity] = event
    return [event for event in calls_by_key.values() if event.at >= since - BEFORE]


def usage_of(events: Sequence[UsageEvent]) -> ByModel:
    """What they used, by model, as a run reports it."""
    usage: ByModel = {}
    for event in events:
        sums = usage.setdefault(event.labels.model, {})
        for kind, tokens in zip(KINDS, event.usage.kinds, strict=True):
            sums[kind] = sums.get(kind, 0) + tokens
        sums["requests"] = sums.get("requests", 0) + event.usage.requests
    return usage


def shipments(agent: str, events: Sequence[UsageEvent], labels: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The events as ``POST /v1/shipments`` takes them, under the labels of the run."""
    host = socket.gethostname().partition(".")[0] or "here"
    for start in range(0, len(events), MOST_ELEMENTS):
        parts = [encoded(shipped(_labelled(event, labels))) for event in events[start : start + MOST_ELEMENTS]]
        empty = Shipment(VERSION, host, datetime.now(UTC), "quota-scheduler run", agent)
        yield json.loads(encoded(empty)) | {"events": [json.loads(part) for part in parts]}


def _labelled(event: UsageEvent, labels: Mapping[str, str]) -> UsageEvent:
    mine = Labels(**{"provider": "", **{name: value for name, value in labels.items() if name in LABEL_NAMES}})
    return relabelled(event, event.labels.overlaid(mine), run="", priority=event.priority)


def _scan(agent: str, files: Sequence[Path]) -> Iterator[Batch]:
    states: dict[str, FileState] = {}
    if agent == CLAUDE:
        roots = sorted({file.parent.parent for file in files})
        return claude_code.scan(roots, states, labeller=claude_code.labeller(), look=_look(files))
    reader = AGENTS[agent]
    bases = sorted({_base(file, reader.inside) for file in files})
    return reader.scan(bases, calls.labeller(agent=agent), _look(files))(states)


def _base(file: Path, inside: Sequence[str]) -> Path:
    """The agent's folder that a file lies in."""
    return next((above.parent for above in (file, *file.parents) if above.name in inside), file.parent)


def _look(files: Sequence[Path]) -> Look:
    def look(states: Mapping[str, FileState]) -> ChangedFiles:
        listing = ChangedFiles(missing=set())
        for file in files:
            listing.look_at(os.fspath(file), states)
        listing.sort()
        return listing

    return look
