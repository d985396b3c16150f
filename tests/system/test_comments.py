"""Comments at issues by the service as a process: from the ticket over HTTP to what people read, and a reload."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from quota_scheduler.client import Client, Refused
from tests.github.fake import GitHub, Server
from tests.system.service_process import Place, ServiceProcess, until

pytestmark = pytest.mark.system
LIMITS = "limits:\n  - {id: day, match: {provider: anthropic}, unit: tokens, amount: 1M, window: day, holdback: 0}\n"


@pytest.fixture
def github() -> Iterator[tuple[GitHub, Server]]:
    github = GitHub()
    server = Server(github)
    yield github, server
    server.close()


def a_ticket(key: str = "k", tokens: int = 800_000) -> dict:
    return {
        "key": key, "labels": {"provider": "anthropic", "workflow": key}, "estimate": {"tokens": tokens},
        "github": {"repo": "acme/web", "issue": 12},
    }  # fmt: skip


def test_people_read_what_becomes_of_their_tickets(tmp_path: Path, github):
    hub, server = github
    place = Place(tmp_path)
    place.config(f"{LIMITS}github: {{token: tok, url: '{server.base}'}}\n")
    with ServiceProcess(place) as service:
        service.ready()
        client = Client(f"http://127.0.0.1:{service.port}", spool=tmp_path / "spool")
        lease = client.lease("first", workflow="first", tokens=800_000, issue="acme/web#12")
        until(lambda: hub.texts(), what="the first comment")
        client.transport.ask("POST", "/v1/tickets", a_ticket("second"))
        until(lambda: len(hub.texts()) == 2, what="the second comment")
        assert "\n⏸️ **Cannot Start Workflow**" in hub.texts()[1]
        assert "**Expected start:** " in hub.texts()[1]
        lease.used("claude-sonnet-5", output=1_000)
        lease.release()
        until(lambda: "\n✅ **Workflow Finished**" in hub.texts()[0], what="the end")
        assert "**Final cost:** $0.0" in hub.texts()[0]
        place.config(LIMITS)
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "config.reloaded" in service.said, what="the reload")
        before = len(hub.asked)
        client.acquire(a_ticket("third", 10) | {"ttl": "600s"}).release()
        with pytest.raises(Refused, match="repo"):
            client.transport.ask("POST", "/v1/tickets", a_ticket() | {"github": {"repo": "../user", "issue": 1}})
        assert len(hub.asked) == before
