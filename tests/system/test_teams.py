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
        yield service.ready()


def loans(service: ServiceProcess) -> list[tuple[str, str, float, float, str | None]]:
    return [
        (loan["lender"], loan["borrower"], loan["amount"], loan["most"], loan["ended"])
        for loan in service.get("/v1/loans")["loans"]
    ]


def dollars(team: str, cost: float, *, days_ago: int = 0) -> dict[str, object]:
    at = (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"provider": "anthropic", "key": f"{team}-{days_ago}-{cost}", "at": at, "model": "claude-haiku-4-5",
            "input": 1, "cost_usd": cost, "labels": {"team": team}}  # fmt: skip


def test_a_loan_begins_with_a_lease_and_is_paid_back_when_it_settles(service):
    client = Client(f"http://127.0.0.1:{service.port}", spool=service.place.home / "spool.jsonl")
    client.record(dollars("growth", 8), dollars("content", 1))
    lease = client.lease("big", team="growth", estimate={"tokens": 10, "cost_usd": 5}, priority="interactive", wait=0)
    assert loans(service) == [("team-daily/content", "team-daily/growth", 3.0, 3.0, None)]
    lease.used("claude-haiku-4-5", output=1, cost_usd=0.5)
    lease.release()
    assert loans(service) == [("team-daily/content", "team-daily/growth", 0.0, 3.0, "repaid")]


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
