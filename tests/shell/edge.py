"""A whole service in this process, on a database of its own, asked without a socket; its clock is set by hand."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from quota_scheduler import api
from quota_scheduler.assemble import assemble
from quota_scheduler.config import load
from quota_scheduler.facade import Facade
from quota_scheduler.runtime import Service
from tests.fakes import FixedClock

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
LIMITS = """
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1000, window: day, holdback: 0}
"""


@dataclass(frozen=True)
class Reply:
    """What was answered; ``body`` is parsed where it is JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def title(self) -> str:
        """A problem's code."""
        assert self.headers["content-type"] == "application/problem+json", self
        return str(self.body["title"])


@dataclass
class Edge:
    """The service and its clock; no jobs run: ``read`` and ``tick`` are called where a test wants them."""

    service: Service
    clock: FixedClock
    token: str = ""
    app: Any = field(init=False)

    def __post_init__(self) -> None:
        self.app = api.build(Facade(self.service))

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request; ``headers`` win over those that a sound client sends."""
        return asyncio.run(self.ask_many([(method, path, body, raw, token or self.token, headers)]))[0]

    async def ask_many(
        self, requests: list[tuple[Any, ...]], meanwhile: Callable[[], Awaitable[None]] | None = None
    ) -> list[Reply]:
        """Requests at the same time; ``meanwhile`` runs once they are on their way."""
        self.service.waiters.attach(asyncio.get_running_loop())
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30) as client:
            under_way = [asyncio.ensure_future(self._one(client, *request)) for request in requests]
            if meanwhile:
                await meanwhile()
            return list(await asyncio.gather(*under_way))

    async def _one(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        body: Any,
        raw: bytes | None,
        token: str,
        more: Mapping[str, str] | None = None,
    ) -> Reply:
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Content-Type": "application/json"} if content else {}
        headers |= more or {}
        found = await client.request(method, path, content=content, headers=headers)
        is_json = "json" in found.headers.get("content-type", "")
        return Reply(found.status_code, dict(found.headers), found.json() if is_json and found.content else found.text)

    def post(self, path: str, body: Any = None) -> Any:
        """The body of a POST that must succeed."""
        reply = self.ask("POST", path, body)
        assert reply.status == 200, reply
        return reply.body

    def get(self, path: str) -> Any:
        """The body of a look that must succeed."""
        reply = self.ask("GET", path)
        assert reply.status == 200, reply
        return reply.body

    def submit(self, key: str, tokens: Any = 100, **more: Any) -> Any:
        """Submit a ticket for an amount of output tokens of one model."""
        return self.post("/v1/tickets", ticket(key, tokens, **more))


def ticket(key: str, tokens: Any = 100, **more: Any) -> dict[str, Any]:
    """A small sound ticket."""
    return {"key": key, "labels": {"provider": "anthropic"}, "estimate": {"output": tokens}, **more}


def event(key: str, tokens: int = 100, **more: Any) -> dict[str, Any]:
    """A small sound usage event."""
    return {"provider": "anthropic", "key": key, "at": "2026-11-22T08:59:00Z", "output": tokens, **more}


def start(folder: Path, text: str = LIMITS, *, clock: FixedClock | None = None) -> Edge:
    """A service on a database in ``folder``, its sources read once."""
    (folder / "quota.yaml").write_text(f"database: sqlite:///quota.db\n{text}")
    clock = clock or FixedClock(START)
    service = assemble(load(folder / "quota.yaml", {"HOME": str(folder)}), clock=clock)
    service.writer.start()
    service.read()
    return Edge(service, clock)
