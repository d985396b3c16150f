"""A service in this process behind a real socket, and what its ledger holds."""

import http.client
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from quota_scheduler import server
from quota_scheduler.assemble import assemble
from quota_scheduler.config import Listen, load
from quota_scheduler.core.usage import Usage
from quota_scheduler.facade import Facade
from quota_scheduler.runtime import Service
from quota_scheduler.store import utc_now

LONGEST = 20.0
"""Seconds within which everything must have ended, on a busy machine too."""
KINDS = "input, cache_read, cache_write_5m, cache_write_1h, output"


@dataclass
class Serving:
    """A service behind a socket; ``at_end`` is called before it ends."""

    service: Service
    port: int
    facade: Facade
    at_end: list[Callable[[], Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}"

    def used(self) -> list[tuple[Any, ...]]:
        """What the ledger holds: the door, the session, and the kinds."""
        with self.service.store.reading() as tx:
            return tx.rows(f"SELECT origin, session, {KINDS} FROM events")

    def sum(self) -> Usage:
        """All of it added up."""
        return Usage(*(sum(kind) for kind in zip(*(row[2:] for row in self.used()), strict=True)))

    def post(
        self, path: str, body: bytes | Iterable[bytes], headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Post a body, in chunks where it is several pieces: the status and the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        is_whole = isinstance(body, bytes)
        connection.request(
            "POST", path, body, {"Content-Type": "application/json", **(headers or {})}, encode_chunked=not is_whole
        )
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        return reply.status, json.loads(content) if content[:1] in (b"{", b"[") else content


@contextmanager
def serving_in(folder: Path, config: str = "", *, clock: Callable[[], datetime] = utc_now) -> Iterator[Serving]:
    """A service on a database in a folder, until the block ends; ``clock`` is its own."""
    (folder / "quota.yaml").write_text(f"database: sqlite:///quota.db\n{config}")
    service = assemble(load(folder / "quota.yaml", {"HOME": str(folder)}), clock=clock)
    service.writer.start()
    where = server.listen(Listen("127.0.0.1", 0))
    facade = Facade(service)
    running = server.server(service, facade, reload=lambda: None)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [where]})
    thread.start()
    serving = Serving(service, where.getsockname()[1], facade)
    try:
        yield serving
    finally:
        for end in serving.at_end:
            end()
        running.should_exit = True
        thread.join(LONGEST)
        service.stop()
