"""The client against the real service: admitted, made to wait, told to stop, cut off, and what it says on paper."""

import asyncio
import contextlib
import doctest
import importlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from quota_scheduler.client import AsyncClient, Client, NotAdmitted, Refused, StillWaiting, Unavailable
from tests.system.service_process import Place, ServiceProcess, free_port, until

pytestmark = pytest.mark.system
CONFIG = """
limits:
  - {id: anthropic-monthly, match: {provider: anthropic}, unit: tokens, amount: 300M, window: month}
  - {id: team-daily, per: team, unit: usd, amount: 10, window: day}
  - {id: at-once, match: {workflow: narrow}, unit: leases, amount: 2}
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.config(CONFIG)
    return place


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    place = Place(tmp_path_factory.mktemp("client"))
    place.config(CONFIG)
    with ServiceProcess(place) as service:
        yield service.ready()


def client_of(service: ServiceProcess, **options: object) -> Client:
    spool = service.place.home / "spool.jsonl"
    return Client(f"http://127.0.0.1:{service.port}", spool=spool, **options)  # type: ignore[arg-type]


NARROW = {"provider": "anthropic", "workflow": "narrow", "tokens": 1_000}
"""Work of which two pieces run at once."""


@pytest.mark.parametrize("module", ["connection", "aio"])
def test_the_examples_of_the_docstrings_run(service, monkeypatch, module):
    monkeypatch.setenv("QUOTA_URL", f"http://127.0.0.1:{service.port}")
    monkeypatch.setenv("XDG_STATE_HOME", str(service.place.home))
    with client_of(service).lease(provider="anthropic", team="docs", tokens=100) as lease:
        lease.used("claude-haiku-4-5", output=5)
    service.caught_up()
    named = importlib.import_module(f"quota_scheduler.client.{module}")
    failed, tried = doctest.testmod(named, verbose=False)
    assert (failed, tried > 0) == (0, True)


def test_a_lease_tells_what_was_used_on_every_way_out(service):
    client = client_of(service)
    with client.lease("a", provider="anthropic", workflow="w", tokens=5_000) as lease:
        lease.used("claude-sonnet-5", input=100, output=20)
        lease.used("claude-haiku-4-5", cache_read=7)
        lease.used("claude-sonnet-5", output=3)
    with (
        contextlib.suppress(ZeroDivisionError),
        client.lease("b", provider="anthropic", workflow="w", tokens=1) as lease,
    ):
        lease.used("claude-sonnet-5", output=1_000)
        raise ZeroDivisionError
    rows = [row for row in client.usage_report(by=["workflow", "model"]) if row.by["workflow"] == "w"]
    assert {row.by["model"]: row.tokens for row in rows} == {"claude-sonnet-5": 1_123, "claude-haiku-4-5": 7}
    runs = service.get("/v1/runs")["runs"]
    assert {row["status"] for row in runs if row["workflow"] == "w"} == {"completed", "failed"}


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        pytest.param({"reasoning": 5}, "there is no kind 'reasoning' of tokens", id="a kind nobody knows"),
        pytest.param({"output": -5}, "output=-5 is negative", id="a negative count"),
    ],
)
def test_usage_that_cannot_be(service, kinds, sentence):
    with (
        pytest.raises(ValueError, match=sentence),
        client_of(service).lease(provider="anthropic", tokens=10) as lease,
    ):
        lease.used("claude-sonnet-5", **kinds)


def test_a_notebook_shows_what_it_has(service):
    client = client_of(service)
    with client.lease("shown", provider="anthropic", team="shown", tokens=100) as lease:
        lease.used("claude-sonnet-5", output=5)
        assert re.fullmatch(r"<Lease \S+ until 20\S+Z, 5 tokens so far>", repr(lease))
    assert repr(client) == f"<Client of http://127.0.0.1:{service.port}>"
    assert {row.by["team"]: row.tokens for row in client.usage_report(by="team")}["shown"] == 5


def test_who_does_not_want_to_wait_is_told_why_and_leaves_the_line(service):
    client = client_of(service)
    with client.lease(**NARROW), client.lease(**NARROW):
        with pytest.raises(StillWaiting, match="at-once") as told:
            client.lease(**NARROW, wait=0)
        assert (told.value.reason, told.value.decision.position) == ("concurrency", 1)
        assert service.get("/v1/queue")["waiting"] == []
        assert client.preflight(**NARROW).fits is False
    assert client.preflight(**NARROW).fits is True


def test_what_can_never_start_says_so(service):
    with pytest.raises(NotAdmitted) as told:
        client_of(service).lease(provider="anthropic", tokens="900M")
    assert (told.value.reason, isinstance(told.value, StillWaiting)) == ("never_fits", False)


def test_a_turn_comes_when_somebody_ends_and_the_way_there_is_told(service):
    client, said = client_of(service), []
    first, second = client.lease(**NARROW), client.lease(**NARROW)
    with ThreadPoolExecutor() as pool:
        third = pool.submit(client.lease, "third", **NARROW, on_wait=said.append)
        until(lambda: said, what="a word about the wait")
        first.release()
        with third.result(20) as lease:
            assert lease.granted
    second.release()
    assert (said[0].verdict, said[0].reason) == ("defer", "concurrency")


def test_a_service_that_is_killed_meanwhile_forgets_nobody(place):
    port = free_port()
    with ServiceProcess(place, port=port) as service:
        client = client_of(service.ready())
        running = [client.lease(f"r{n}", **NARROW) for n in range(2)]
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(client.lease, "w", **NARROW)
            until(lambda: service.get("/v1/queue")["waiting"], what="the ticket in line")
            service.kill()
            running[0].used("claude-sonnet-5", output=50)
            with ServiceProcess(place, port=port) as service:
                service.ready()
                running[0].release()
                with waiting.result(30) as lease:
                    lease.used("claude-sonnet-5", output=7)
                running[1].release()
                assert sum(row.tokens for row in client.usage_report(by=["model"])) == 57


def test_a_release_that_nobody_hears_is_told_with_the_next_chance(place):
    port = free_port()
    with ServiceProcess(place, port=port) as service:
        client = client_of(service.ready())
        lease = client.lease("a", **NARROW)
        lease.used("claude-sonnet-5", output=50)
        service.kill()
    lease.release(patience=0.2)
    assert (place.home / "spool.jsonl").read_text().count("/release") == 1
    with ServiceProcess(place, port=port) as service:
        service.ready()
        client.lease("b", **NARROW).release()
        assert sum(row.tokens for row in client.usage_report(by=["model"])) == 50
        assert not (place.home / "spool.jsonl").exists()
        assert service.get("/v1/queue")["running"] == []


@pytest.mark.parametrize("fail", ["open", "closed"])
def test_a_service_that_is_away(place, fail):
    port = free_port()
    client = Client(f"127.0.0.1:{port}", fail=fail, patience=0.3, spool=place.home / "spool.jsonl")
    if fail == "closed":
        with pytest.raises(Unavailable, match=f"nothing answers .*; tried at http://127.0.0.1:{port}"):
            client.lease(**NARROW)
        return
    with client.lease("a", **NARROW, team="growth") as lease:
        assert not lease.granted
        lease.used("claude-sonnet-5", output=50)
    with ServiceProcess(place, port=port) as service:
        service.ready()
        for _ in range(2):
            client.lease(**NARROW).release()
        (row,) = client.usage_report(by=["team", "workflow", "model"])
    assert (dict(row.by), row.tokens) == ({"team": "growth", "workflow": "narrow", "model": "claude-sonnet-5"}, 50)


def test_a_run_whose_lease_is_taken_away_is_told(service):
    client, stopped = client_of(service), threading.Event()
    with client.lease(**NARROW, ttl=timedelta(seconds=3)) as lease:
        lease.on_stop(stopped.set)
        assert service.ask("DELETE", f"/v1/leases/{lease.id}").status == 200
        assert stopped.wait(20)
        assert lease.should_stop


def test_a_lease_is_renewed_for_as_long_as_it_runs(service):
    with client_of(service).lease(**NARROW, ttl=timedelta(seconds=3)) as lease:
        first = lease.expires_at
        until(
            lambda: lease.expires_at and first and lease.expires_at > first + timedelta(seconds=3), what="two renewals"
        )
        assert not lease.should_stop


def test_a_token_that_is_refused_is_no_absence(place):
    place.config(CONFIG + "tokens: [{name: ci, role: runner, sha256: " + "ab" * 32 + "}]\n")
    with ServiceProcess(place) as service:
        service.ready()
        with pytest.raises(Refused, match="send a known token") as told:
            client_of(service, fail="open").lease(**NARROW)
        assert (told.value.status, told.value.code) == (401, "no_token")


def test_thirty_coroutines_share_two_places(service):
    running, most = 0, 0
    client = AsyncClient(f"http://127.0.0.1:{service.port}", spool=service.place.home / "spool.jsonl")

    @client.leased(**NARROW, team="thirty")
    async def work(lease=None):
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        lease.used("claude-sonnet-5", output=10)
        await asyncio.sleep(0.01)
        running -= 1

    async def main():
        await asyncio.gather(*(work() for _ in range(30)))
        return await client.usage_report(by=["team"])

    rows = asyncio.run(main())
    assert most == 2
    assert {row.by["team"]: row.tokens for row in rows}["thirty"] == 300


def test_a_coroutine_that_is_cancelled_leaves_the_line_at_once(service):
    client = AsyncClient(f"http://127.0.0.1:{service.port}", spool=service.place.home / "spool.jsonl")

    async def main():
        async with client.lease(**NARROW), client.lease(**NARROW):
            waiting = asyncio.create_task(client.lease(**NARROW).__aenter__())
            while not service.get("/v1/queue")["waiting"]:
                await asyncio.sleep(0.02)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            until(lambda: service.get("/v1/queue")["waiting"] == [], seconds=5, what="the line without it")

    asyncio.run(main())


def test_a_wait_that_is_given_up_by_an_event_leaves_the_line_at_once(service):
    client, stop = client_of(service), threading.Event()
    with client.lease(**NARROW), client.lease(**NARROW), ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.lease, **NARROW, stop=stop)
        until(lambda: service.get("/v1/queue")["waiting"], what="the ticket in line")
        stop.set()
        with pytest.raises(StillWaiting):
            waiting.result(5)
        assert service.get("/v1/queue")["waiting"] == []


def test_the_client_needs_nothing_but_the_standard_library():
    probe = (
        "import sys, json; before = set(sys.modules); import quota_scheduler.client; "
        "print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - before})))"
    )
    said = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    loaded = {name for name in json.loads(said.stdout) if not name.startswith("_")}
    assert loaded - {"quota_scheduler"} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        pytest.param(lambda: Client("ftp://x"), "'ftp://x' is no address", id="no address"),
        pytest.param(
            lambda: Client("http://127.0.0.1:9").lease(colour="red", tokens=1), "there is no label 'colour'",
            id="a label nobody knows",
        ),
        pytest.param(
            lambda: Client("http://127.0.0.1:9").lease(workflow="docs"), "say how much it may take: tokens=",
            id="nobody says how much it takes",
        ),
        pytest.param(
            lambda: Client("http://127.0.0.1:9").lease(tokens=1, issue="web#12"), "write OWNER/NAME#NUMBER",
            id="an issue without its owner",
        ),
        pytest.param(
            lambda: Client("http://127.0.0.1:9").lease(tokens=1, deadline=datetime(2030, 1, 1)),
            "has no time zone", id="a deadline without a zone",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        pytest.param("127.0.0.1:8484", "http://127.0.0.1:8484", id="without a scheme"),
        pytest.param("https://quota.example/team/", "https://quota.example/team", id="a path of a proxy"),
    ],
)
def test_an_address_is_handed_on_whole(given, url):
    """To the child of a ``run``, which asks the same service."""
    assert Client(given).transport.url == url
