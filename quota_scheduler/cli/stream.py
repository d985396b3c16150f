"""A headless run's output, passed on byte by byte and heard on the way; the service is told beside it.

claude -p … ──► read ──► standard output, at once
                  └──► whole lines ──► reports ──► service, by a thread of its own
                                  └──► what sessions state that they used ──► service, when the run has ended
"""

import os
import queue
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import click

from quota_scheduler.aside.address import ServiceAddress
from quota_scheduler.aside.reports import reports_of
from quota_scheduler.aside.teller import folder_of
from quota_scheduler.sources.word.headless import SOURCE, read_record, records_of
from quota_scheduler.sources.word.word import Teller

CHUNK = 65536
LONGEST_LINE = 32 * 1024 * 1024
"""A longer line is passed on and not heard: no limit is told in one."""
LAST_SECONDS = 3.0
"""So long the last report may take when the run has ended."""
HEARD = (b'"rate_limit_event"', b'"result"', b'"api_retry"', b'"isApiErrorMessage"', b'"is_error"')
"""A line without any of these says nothing about limits, and is not parsed."""
STATED = (b'"modelUsage"', b'"cwd"')
"""A line without any of these says nothing about usage."""
KEPT = ("type", "session_id", "cwd", "modelUsage", "model_usage_since_last_result")
"""What is sent of a result, and of the line that says where the run works: figures, and no text."""
MOST_STATED = 100
"""Lines about usage that are kept of one run: it prints one a turn, and the last is the truest."""


def hear(source: int, target: int, *, account: str, listen: str, environ: Mapping[str, str]) -> int:
    """Pass everything from one file descriptor to another and report what it says; returns the exit code 0."""
    service = ServiceAddress(listen, environ)
    outbox: queue.SimpleQueue[list[dict[str, Any]] | None] = queue.SimpleQueue()
    unsent: list[dict[str, Any]] = []
    teller = threading.Thread(target=_tell, args=(service, outbox, unsent), daemon=True)
    teller.start()
    stated: list[dict[str, Any]] = []
    for line in _passed_on(source, target):
        stated += _stated(line)
        del stated[1:-MOST_STATED]  # the first says where the run works
        if reports := _reports(line, account, environ):
            outbox.put(reports)
    outbox.put(None)
    teller.join(LAST_SECONDS)
    is_lost = any("modelUsage" in one for one in stated) and not _state(service, stated, account)
    if unsent or is_lost or teller.is_alive():
        where = f"{service.host}:{service.port}"
        click.echo(
            f"quota-scheduler: nothing at {where} took what the run said of limits and usage: start the service",
            err=True,
        )
    return 0


def _passed_on(source: int, target: int) -> Iterator[bytes]:
    """Pass bytes on as they come, and yield each line when it is whole; the last one needs no end."""
    parts: list[bytes] = []
    size, writing = 0, True
    while chunk := os.read(source, CHUNK):
        writing = writing and _written(target, chunk)
        for number, part in enumerate(chunk.split(b"\n")):
            if number:
                yield b"".join(parts)
                parts.clear()
                size = 0
            size += len(part)
            if size > LONGEST_LINE:
                parts.clear()
            else:
                parts.append(part)
    yield b"".join(parts)


def _written(target: int, chunk: bytes) -> bool:
    """Write all of it; False when nobody reads any more: the run goes on and is heard to its end."""
    view = memoryview(chunk)
    try:
        while view:
            view = view[os.write(target, view) :]
    except BrokenPipeError:
        return False
    return True


def _reports(line: bytes, account: str, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    if not any(mark in line for mark in HEARD):
        return []
    whose = Teller(account=account, at=datetime.now(UTC), source=SOURCE)
    words = [read_record(record, whose) for record in records_of(line)]
    return [report for word in words for report in reports_of(word, folder=folder_of({}, environ))]


def _stated(line: bytes) -> list[dict[str, Any]]:
    """What a line says of what its session has used, and where it works."""
    if not any(mark in line for mark in STATED):
        return []
    return [
        {key: record[key] for key in KEPT if key in record}
        for record in records_of(line)
        if (record.get("type") == "result" and "modelUsage" in record) or record.get("subtype") == "init"
    ]


def _state(service: ServiceAddress, stated: list[dict[str, Any]], account: str) -> bool:
    """Whether the service took what a run says that it has used; beside a transcript that counts once."""
    return service.post(f"/v1/headless?{urlencode({'account': account})}", stated) is not None


def _tell(
    service: ServiceAddress, outbox: "queue.SimpleQueue[list[dict[str, Any]] | None]", unsent: list[dict[str, Any]]
) -> None:
    """Send what comes, together with what could not be sent before."""
    while (reports := outbox.get()) is not None:
        unsent += reports
        if service.post("/v1/observations", unsent[-1000:]) is not None:
            unsent.clear()
