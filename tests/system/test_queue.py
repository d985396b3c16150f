"""Tickets as a process: over a reset, through kills, with many runners at once, and counted once."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any

import pytest

from tests.system.service_process import Place, ServiceProcess, free_port, until
from tests.system.transcripts import Agent

LIMITS = """
limits:
  - {id: short, match: {provider: acme}, unit: tokens, amount: 1000, window: {session: 3s}, holdback: 0}
  - {id: daily, match: {provider: busy}, unit: tokens, amount: 1000, window: week, holdback: 0}
  - {id: slots, match: {provider: busy}, unit: leases, amount: 30}
  - {id: own, match: {provider: anthropic}, unit: tokens, amount: 100k, window: week, holdback: 0}
"""


def ticket(key: str, tokens: int, provider: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "labels": {"provider": provider}, "estimate": {"output": tokens}, **more}


def test_a_low_ticket_waits_and_starts_after_the_reset(place: Place) -> None:
    place.config(LIMITS)
    with ServiceProcess(place) as service:
        service.ready()
        first = service.ask("POST", "/v1/tickets", ticket("first", 1000, "acme")).body
        report = {"fence": first["lease"]["fence"], "usage": {"output": 1000}}
        assert service.ask("POST", f"/v1/leases/{first['lease']['id']}/release", report).status == 200
        waits = service.ask("POST", "/v1/tickets", ticket("low", 600, "acme", **{"class": "low"})).body
        assert (waits["verdict"], waits["reason"]) == ("defer", "exhausted")
        assert service.get("/v1/queue")["waiting"][0]["key"] == "low"
        started = service.get(f"/v1/tickets/{waits['id']}?wait=30")
        assert (started["state"], started["lease"]["reserved"]) == ("running", {"short": 600})
        assert started["lease"]["granted_at"] >= waits["until"]


def test_a_lease_that_nobody_renews_returns_what_it_held_and_its_key_starts_anew(place: Place) -> None:
    place.config(LIMITS)
    with ServiceProcess(place) as service:
        service.ready()
        gone = service.ask("POST", "/v1/tickets", ticket("gone", 900, "busy", ttl=1)).body
        waits = service.ask("POST", "/v1/tickets", ticket("next", 900, "busy")).body
        assert waits["state"] == "waiting"
        assert service.get(f"/v1/tickets/{waits['id']}?wait=30")["state"] == "running"
        ended = service.get(f"/v1/tickets/{gone['id']}")
        assert (ended["state"], ended["outcome"]) == ("closed", "expired")
        again = service.ask("POST", "/v1/tickets", ticket("gone", 900, "busy", ttl=1)).body
        assert (again["id"], again["state"]) == (gone["id"], "waiting")


def test_a_run_that_reports_and_leaves_a_transcript_counts_once(place: Place) -> None:
    place.config(LIMITS)
    with ServiceProcess(place) as service:
        service.caught_up()
        body = ticket("run", 50_000, "anthropic", session="session-1")
        lease = service.ask("POST", "/v1/tickets", body).body["lease"]
        agent = Agent(place.home, "session-1").spend(cache_read=20_000, output=1_000)
        until(lambda: sum(service.consumed("own").values()) == 21_000, what="the transcript")
        renewed = service.ask("POST", f"/v1/leases/{lease['id']}/renew", {"fence": lease["fence"], "usage": {
            "claude-opus-5": {"cache_read": 20_000, "output": 900}}})  # fmt: skip
        assert renewed.body["lease"]["reserved"] == {"own": 29_000}
        agent.spend(cache_read=5_000, output=500)
        report = {"fence": lease["fence"], "usage": {"claude-opus-5": {"cache_read": 25_000, "output": 1_400}}}
        assert service.ask("POST", f"/v1/leases/{lease['id']}/release", report).status == 200
        until(lambda: sum(service.consumed("own").values()) == 26_500, what="the rest of the transcript")
        (own,) = [each for each in service.get("/v1/limits")["limits"] if each["limit"] == "own"]
        until(lambda: own["used"] == 26_500 or not own, what="the window")
        assert own["reserved"] == 0


class Client(threading.Thread):
    """A runner that submits its keys until each was answered, whatever happens to the service meanwhile."""

    def __init__(self, port: int, number: int, keys: int) -> None:
        super().__init__(daemon=True)
        self.service = object.__new__(ServiceProcess)
        self.service.port = port
        self.keys = [f"client-{number}-{i}" for i in range(keys)]
        self.answers: dict[str, dict[str, Any]] = {}

    def run(self) -> None:
        """Ask for each key; come again when nobody answers or the service says so."""
        for key in self.keys:
            while key not in self.answers:
                try:
                    reply = self.service.ask("POST", "/v1/tickets", ticket(key, 50, "busy"))
                except (OSError, ValueError, HTTPException):
                    time.sleep(0.02)
                    continue
                if reply.status == 200:
                    self.answers[key] = reply.body


STORMS = [
    pytest.param(64, 2, 2, id="64 runners, two kills"),
    pytest.param(64, 40, 20, id="64 runners, 20 kills", marks=pytest.mark.torture),
]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("runners", "keys", "kills"), STORMS)
def test_many_runners_and_kills_between_never_admit_too_much_nor_lose_an_answer(
    place: Place, runners: int, keys: int, kills: int
) -> None:
    place.config(LIMITS)
    rng, port = random.Random(kills), free_port()
    clients = [Client(port, number, keys) for number in range(runners)]
    for _ in range(kills):
        with ServiceProcess(place, port=port) as service:
            service.ready()
            for client in clients:
                if client.ident is None:
                    client.start()
            # any moment is as good as another: the wait is the experiment, not a hope
            time.sleep(rng.random() * 0.3)
            service.kill()
    with ServiceProcess(place, port=port) as service:
        service.ready()
        for client in clients:
            client.join(120)
            assert not client.is_alive()
        answers = {key: answer for client in clients for key, answer in client.answers.items()}
        assert len(answers) == runners * keys
        queue = service.get("/v1/queue")
        assert len(queue["running"]) == 1000 // 50
        assert len(queue["waiting"]) == runners * keys - 20
        assert len({answer["id"] for answer in answers.values()}) == len(answers)
        with ThreadPoolExecutor(8) as pool:
            replies = pool.map(lambda key: service.ask("POST", "/v1/tickets", ticket(key, 50, "busy")), answers)
            again = {key: reply.body for key, reply in zip(answers, replies, strict=True)}
        for key, answer in answers.items():
            assert again[key]["id"] == answer["id"]
            if answer["state"] == "running":
                assert again[key]["lease"] == answer["lease"]
        assert service.terminate() == 0
    assert place.run("doctor").returncode == 0
