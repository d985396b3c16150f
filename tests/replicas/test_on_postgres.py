"""Two real services on one real PostgreSQL, from the outside: what is done at one is so at the other."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.system.service_process import HttpReceiver, Place, Reply, ServiceProcess, free_port, until

pytestmark = pytest.mark.system
LIMITS = """
tick_seconds: 0.2
leader_ttl: 2s
limits:
  - {id: daily, match: {provider: p}, unit: tokens, amount: 1000, window: day, holdback: 0}
  - {id: weekly, match: {provider: q}, unit: tokens, amount: 1000, window: week, holdback: 0}
"""


class Pair:
    """Two services at ports that stay theirs, and somebody who is told; ``more`` are others, as the file has them."""

    def __init__(self, folder: Any, database: str, receiver: HttpReceiver, more: str = "") -> None:
        self.receiver = receiver
        self.text = f"database: {database}\nreceivers: [{{id: box, url: '{receiver.url}'}}{more}]\n{LIMITS}"
        self.places = [Place(folder / name) for name in ("here", "there")]
        for place in self.places:
            place.home.mkdir()
            place.config(self.text)
        self.here, self.there = (ServiceProcess(place, port=free_port()) for place in self.places)

    @property
    def both(self) -> tuple[ServiceProcess, ServiceProcess]:
        return self.here, self.there

    def leader(self) -> tuple[ServiceProcess, ServiceProcess]:
        """Who leads, and who follows."""
        address = self.here.get("/v1/limits")["replica"]["leader"]
        return self.both if address.endswith(f":{self.here.port}") else (self.there, self.here)


@pytest.fixture(scope="module")
def pair(module_postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both ready, with readings of the same leader."""
    with HttpReceiver() as receiver:
        pair = Pair(tmp_path_factory.mktemp("pair"), module_postgres_dsn, receiver)
        with pair.here, pair.there:
            for service in pair.both:
                service.ready()
                until(lambda service=service: len(service.get("/v1/limits")["limits"]) == 2, what="readings")
            yield pair


def submit(service: ServiceProcess, key: str, amount: int, provider: str = "p") -> dict[str, Any]:
    """A ticket, as it was answered."""
    reply = service.ask(
        "POST", "/v1/tickets", {"key": key, "labels": {"provider": provider}, "estimate": {"output": amount}}
    )
    assert reply.status == 200, reply
    return reply.body


def release(service: ServiceProcess, ticket: dict[str, Any], used: int) -> Reply:
    report = {"fence": ticket["lease"]["fence"], "usage": {"output": used}}
    return service.ask("POST", f"/v1/leases/{ticket['id']}/release", report)


def looks(service: ServiceProcess) -> list[str]:
    """Every question without a name in it; the stream of news has no end."""
    paths = service.get("/openapi.json")["paths"]
    return [path for path, deeds in paths.items() if "get" in deeds and "{" not in path and path != "/v1/page/events"]


def test_every_question_is_answered_by_both(pair: Pair) -> None:
    release(pair.here, submit(pair.there, "asked", 10), 10)
    paths = looks(pair.here)
    refused = [
        (path, reply.status, reply.body)
        for path in paths
        for service in pair.both
        if (reply := service.ask("GET", path)).status >= 500
    ]
    assert (refused, len(paths) > 20) == ([], True)


def test_submitted_here_polled_and_released_there(pair: Pair) -> None:
    ticket = submit(pair.here, "k", 100)
    assert pair.there.get(f"/v1/tickets/{ticket['id']}")["lease"]["fence"] == ticket["lease"]["fence"]
    assert submit(pair.there, "k", 100)["id"] == ticket["id"]
    assert release(pair.there, ticket, 30).body["state"] == "closed"
    assert pair.here.get(f"/v1/tickets/{ticket['id']}")["state"] == "closed"


def test_who_is_parked_here_is_woken_by_what_is_released_there(pair: Pair) -> None:
    running = submit(pair.there, "large", 900, "q")
    waiting = submit(pair.here, "small", 200, "q")
    assert (running["state"], waiting["state"]) == ("running", "waiting")
    answers: list[tuple[str, float]] = []

    def park() -> None:
        state = pair.here.get(f"/v1/tickets/{waiting['id']}?wait=20")["state"]
        answers.append((state, time.monotonic()))

    thread = threading.Thread(target=park)
    thread.start()
    released_at = time.monotonic()
    release(pair.there, running, 10)
    thread.join(30)
    assert [state for state, _ in answers] == ["running"]
    assert answers[0][1] - released_at < 3
    release(pair.here, pair.here.get(f"/v1/tickets/{waiting['id']}"), 10)


def test_who_is_parked_here_is_not_answered_for_what_was_so_already(pair: Pair) -> None:
    """The first look here is the first news of a ticket that was sent there, and its change is announced after it."""
    wait = 0.5
    running = submit(pair.there, "fills it", 900, "q")
    took: dict[str, float] = {}

    def park(number: str, more: str) -> None:
        began = time.monotonic()
        answer = pair.here.get(f"/v1/tickets/{number}?wait={wait}{more}")
        took[f"{answer['state']}{more}"] = time.monotonic() - began

    waiting = [(submit(pair.there, f"fits not {more}", 200, "q")["id"], more) for more in ("", "&claim=no")]
    threads = [threading.Thread(target=park, args=each) for each in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {state: seconds >= wait for state, seconds in took.items()} == {"waiting": True, "waiting&claim=no": True}
    for number, _ in waiting:
        assert pair.there.ask("DELETE", f"/v1/tickets/{number}").status == 200
    release(pair.there, running, 10)


def test_a_hold_here_holds_there(pair: Pair) -> None:
    assert pair.here.ask("POST", "/v1/hold", {"on": True, "reason": "a look"}).status == 200
    held = submit(pair.there, "held", 1)
    assert held["state"] == "waiting"
    assert pair.there.ask("POST", "/v1/hold", {"on": False}).status == 200
    until(lambda: pair.here.get(f"/v1/tickets/{held['id']}")["state"] == "running", what="a start")
    release(pair.here, pair.here.get(f"/v1/tickets/{held['id']}"), 1)


def test_a_limit_changed_here_decides_there(pair: Pair) -> None:
    assert pair.here.ask("PATCH", "/v1/limits/daily", {"amount": 50}).status == 200
    refused = submit(pair.there, "too much", 100)
    assert refused["state"] != "running"
    assert pair.there.ask("PATCH", "/v1/limits/daily", {"amount": None}).status == 200
    pair.here.ask("DELETE", f"/v1/tickets/{refused['id']}")
    fits = submit(pair.here, "fits", 100)
    assert fits["state"] == "running"
    release(pair.there, fits, 1)


def test_an_alert_is_told_once(pair: Pair) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    event = {"provider": "p", "key": "loud", "at": at, "output": 1000, "labels": {}}
    assert pair.there.ask("POST", "/v1/usage", [event]).status == 200
    until(lambda: pair.receiver.titles, what="a message")
    until(lambda: pair.here.get("/v1/alerts")["alerts"] == pair.there.get("/v1/alerts")["alerts"], what="one picture")
    time.sleep(2)  # nothing more may come: as long as both could have told it once more
    assert len(set(pair.receiver.titles)) == len(pair.receiver.titles), pair.receiver.titles


def test_both_export_the_same_of_what_they_share(pair: Pair) -> None:
    def shared(service: ServiceProcess) -> list[tuple[str, dict[str, str], float]]:
        """The state: what each has done itself is counted by each."""
        return [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(service.get("/metrics"))
            for sample in family.samples
            if family.type == "gauge" and not family.name.startswith(("process_", "quota_scheduler_", "quota_source_"))
        ]

    until(lambda: shared(pair.here) == shared(pair.there), what="the same figures")
    assert len(shared(pair.here)) > 20


def test_a_replica_configured_otherwise_is_not_ready_and_says_in_what(pair: Pair, tmp_path: Any) -> None:
    place = Place(tmp_path)
    place.config(pair.text.replace("amount: 1000, window: day", "amount: 2000, window: day"))
    with ServiceProcess(place) as third:
        until(lambda: third.process.poll() is not None or _answers(third), what="an answer")
        differing = until(
            lambda: [one for one in third.ask("GET", "/readyz").body["problems"] if "2,000" in one], what="a problem"
        )
        assert (third.ask("GET", "/readyz").status, len(differing)) == (503, 1)
        assert "daily" in differing[0]
        assert third.terminate() == 0
    assert [service.ask("GET", "/readyz").status for service in pair.both] == [200, 200]


def _answers(service: ServiceProcess) -> bool:
    try:
        return service.ask("GET", "/healthz").status == 200
    except OSError:
        return False


def test_who_leads_is_killed_and_the_other_leads_within_two_ttl(pair: Pair) -> None:
    leader, follower = pair.leader()
    leader.kill()
    began = time.monotonic()
    until(lambda: follower.get("/v1/limits")["replica"]["leader"].endswith(f":{follower.port}"), what="another leader")
    assert time.monotonic() - began < 2 * 2 + 1
    follower.ready()
