"""A headless run's output, passed on byte by byte and heard on the way; the service is told beside it.

claude -p … ──► read ──► standard output, at once
                  └──► whole lines ──► reports ──► service, by a thread of its own
"""

import os
import queue
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

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


def hear(source: int, target: int, *, account: str, listen: str, environ: Mapping[str, str]) -> int:
    """Pass everything from one file descriptor to another and report what it says; returns the exit code 0."""
    service = ServiceAddress(listen, environ)
    outbox: queue.SimpleQueue[list[dict[str, Any]] | None] = queue.SimpleQueue()
    unsent: list[dict[str, Any]] = []
    teller = threading.Thread(target=_tell, args=(service, outbox, unsent), daemon=True)
    teller.start()
    for line in _passed_on(source, target):
        if reports := _reports(line, account, environ):
            outbox.put(reports)
    outbox.put(None)
    teller.join(LAST_SECONDS)
    if unsent or teller.is_alive():
        where = f"{service.host}:{service.port}"
        click.echo(f"quota-scheduler: nothing at {where} took what the run said of limits: start the service", err=True)
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


def _tell(
    service: ServiceAddress, outbox: "queue.SimpleQueue[list[dict[str, Any]] | None]", unsent: list[dict[str, Any]]
) -> None:
    """Send what comes, together with what could not be sent before."""
    while (reports := outbox.get()) is not None:
        unsent += reports
        if service.post("/v1/observations", unsent[-1000:]) is not None:
            unsent.clear()
