"""Teams that share a pool, on the real service: who owes whom, paid back when, and what the verb shows."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quota_scheduler.client import Client
from tests.system.service_process import Place, ServiceProcess, until

pytestmark = pytest.mark.system
CONFIG = """
limits:
  - {id: marketing, match: {team: [growth, content]}, unit: usd, amount: 20, window: day, holdback: 0}
  - {id: team-daily, per: team, unit: usd, amount: 10, window: day, holdback: 0, parent: marketing, borrow: 5}
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    place = Place(tmp_path)
    place.config(CONFIG)
    with ServiceProcess(place) as service:
        yield service.caught_up()


def loans(service: ServiceProcess) -> list[tuple[str, str, float, float, str | None]]:
    return [
        (loan["lender"], loan["borrower"], loan["amount"], loan["most"], loan["ended"])
        for loan in service.get("/v1/loans")["loans"]
    ]


def verb(service: ServiceProcess, *words: str) -> list[str]:
    """What ``teams`` prints below its heads, without the instants."""
    lines = service.place.run("--listen", f"127.0.0.1:{service.port}", "teams", *words).stdout.splitlines()[1:]
    return [" ".join(word for word in line.split() if not word.endswith("Z")) for line in lines]


def owed(service: ServiceProcess) -> dict[tuple[str, str], float]:
    """Lender and borrower, and what is owed over the amount of the pool, as Prometheus sees it."""
    return {
        (dict(pairs)["lender"], dict(pairs)["borrower"]): share
        for pairs, share in service.sample("quota_owed_ratio", limit="marketing").items()
    }


def dollars(team: str, cost: float, *, days_ago: int = 0) -> dict[str, object]:
    at = (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"provider": "anthropic", "key": f"{team}-{days_ago}-{cost}", "at": at, "model": "claude-haiku-4-5",
            "input": 1, "cost_usd": cost, "labels": {"team": team}}  # fmt: skip


WORDS = ("deferred", "throttled", "woken", "rejected")


def counted(service: ServiceProcess) -> dict[str, dict[tuple[str, str], dict[str, int]]]:
    """What was decided by limit and class: as the API, the verb and a scrape have it; what never was is left out."""
    verb = service.place.run("--listen", f"127.0.0.1:{service.port}", "queue", "counts", "--json").stdout
    told = {"api": service.get("/v1/decisions?by=limit,class"), "verb": json.loads(verb)}
    counts = {
        door: {
            (row["limit"], row["class"]): {word: row[word] for word in WORDS if row[word]}
            for row in answer["decisions"]
        }
        for door, answer in told.items()
    }
    scraped: dict[tuple[str, str], dict[str, int]] = {}
    for word in WORDS:
        for pairs, value in service.sample(f"quota_tickets_{word}_total").items():
            if value:
                labels = dict(pairs)
                scraped.setdefault((labels["limit"], labels["class"]), {})[word] = int(value)
    return {"metrics": scraped} | {
        door: {slot: row for slot, row in rows.items() if row} for door, rows in counts.items()
    }


def test_a_loan_begins_with_a_lease_and_is_paid_back_when_it_settles(service):
    client = Client(f"http://127.0.0.1:{service.port}", spool=service.place.home / "spool.jsonl")
    client.record(dollars("growth", 8), dollars("content", 1))
    lease = client.lease("big", team="growth", estimate={"tokens": 10, "cost_usd": 5}, priority="interactive", wait=0)
    assert loans(service) == [("team-daily/content", "team-daily/growth", 3.0, 3.0, None)]
    assert verb(service, "loans")[:1] == ["team-daily/growth team-daily/content $3.00 marketing stands"]
    as_metric = {("team-daily/content", "team-daily/growth"): 0.15}
    until(lambda: owed(service) == as_metric, what="the loan as a metric")
    lease.used("claude-haiku-4-5", output=1, cost_usd=0.5)
    lease.release()
    assert loans(service) == [("team-daily/content", "team-daily/growth", 0.0, 3.0, "repaid")]
    assert verb(service, "loans") == ["team-daily/growth team-daily/content $3.00 marketing repaid"]
    until(lambda: not owed(service), what="nothing owed as a metric")


def test_the_verb_shows_budgets_loans_and_what_would_be_enough(service):
    client = Client(f"http://127.0.0.1:{service.port}", spool=service.place.home / "spool.jsonl")
    client.record(
        dollars("growth", 8), dollars("content", 1), *(dollars("growth", n, days_ago=n) for n in range(1, 11))
    )
    client.lease("big", team="growth", estimate={"tokens": 10, "cost_usd": 5}, priority="interactive", wait=0)

    def shown() -> dict[str, dict[str, object]]:
        rows = json.loads(service.place.run("--listen", f"127.0.0.1:{service.port}", "teams", "--json").stdout)
        return {row["team"]: row for row in rows}

    rows = until(lambda: (rows := shown()).get("growth", {}).get("reserved") == 5 and rows, what="the lease")
    names = ("amount", "used", "reserved", "borrowed", "lent", "recommended", "recommended_from_days")
    assert {team: tuple(row[name] for name in names) for team, row in rows.items()} == {
        "growth": (10, 8, 5, 3, 0, 9, 10),
        "content": (10, 1, 0, 0, 3, None, 0),
    }
    text = service.place.run("--listen", f"127.0.0.1:{service.port}", "teams", "report", "--csv").stdout
    bill = list(csv.DictReader(io.StringIO(text)))
    assert sum(float(row["cost_usd"]) for row in bill if row["team"] == "growth") == pytest.approx(8 + 55)


def test_a_bill_holds_what_sessions_used_beyond_their_calls(service):
    client = Client(f"http://127.0.0.1:{service.port}", spool=service.place.home / "spool.jsonl")
    client.record(dollars("growth", 8), dollars("growth", 2, days_ago=3) | {"extent": "unlisted"}, dollars("", 1))
    text = service.place.run("--listen", f"127.0.0.1:{service.port}", "teams", "report", "--csv").stdout
    bill = [(row["team"], row["cost_usd"], row["unlisted_cost_usd"]) for row in csv.DictReader(io.StringIO(text))]
    assert bill == [("growth", "0.0", "2.0"), ("", "1.0", "0.0"), ("growth", "8.0", "0.0")]
    assert [line.split()[0::3] for line in verb(service, "report")] == [["(none)", "$1.00"], ["growth", "$10.00"]]


def test_what_was_turned_away_is_the_same_through_every_door_and_after_a_restart(service):
    client = Client(f"http://127.0.0.1:{service.port}", spool=service.place.home / "spool.jsonl")
    client.record(dollars("growth", 9), dollars("content", 9))

    def ask(key: str, cost: float, priority: str) -> str:
        labels = {"provider": "anthropic", "team": "growth"}
        body = {"key": key, "labels": labels, "estimate": {"output": 10, "cost_usd": cost}, "class": priority}
        return str(service.ask("POST", "/v1/tickets", body).body["state"])

    states = [ask("a", 4, "low"), ask("b", 4, "normal"), ask("c", 4, "low"), ask("d", 400, "low")]
    assert states == ["waiting", "waiting", "waiting", "closed"]
    by_slot = {
        ("marketing", "low"): {"deferred": 2, "throttled": 2, "rejected": 1},
        ("marketing", "normal"): {"deferred": 1, "throttled": 1},
    }
    everywhere = {"api": by_slot, "verb": by_slot, "metrics": by_slot}
    until(lambda: counted(service) == everywhere, what="every door")
    service.kill()
    with ServiceProcess(service.place) as again:
        until(lambda: counted(again.ready()) == everywhere, what="every door after the restart")
