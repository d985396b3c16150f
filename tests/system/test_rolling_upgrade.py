"""Two replicas on PostgreSQL exchanged for a newer build, one after the other, under clients that go on meanwhile."""

import signal
from pathlib import Path

import psycopg
import pytest

from tests.system.builds import earlier_build, runs, this_build
from tests.system.service_process import ServiceProcess, until
from tests.torture.replicas import Replicas
from tests.torture.runners import Group
from tests.torture.test_one_service import at_work, finished
from tests.torture.test_several_services import assert_all_is_well

pytestmark = pytest.mark.system

WIDENED = '''"""Room for what the next version writes; the version before goes on beside it."""


def up(_migrator, db):
    db.execute_sql("ALTER TABLE tickets ADD COLUMN made_up TEXT NOT NULL DEFAULT ''")
    db.execute_sql("ALTER TABLE leases ADD COLUMN made_up BIGINT")
    db.execute_sql("CREATE INDEX tickets_made_up ON tickets (made_up)")
    db.execute_sql("CREATE TABLE made_up (id INTEGER PRIMARY KEY, what TEXT NOT NULL)")
'''
FIRST_WITH_REPLICAS = "2f0b424c967a5eb2711a2c96a5849da39afd3ed7"
"""The first commit whose replicas were whole."""
OLD = [
    pytest.param("", id="from this build under an older version, without the newest step of the schema"),
    pytest.param(FIRST_WITH_REPLICAS, id="from the first build with replicas", marks=pytest.mark.torture),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("commit", OLD)
def test_each_is_exchanged_and_nothing_is_lost_or_admitted_twice(
    commit: str, postgres_dsn: str, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    old = earlier_build(older, commit) if commit else this_build(older, version="0.0.9")
    new = this_build(tmp_path / "newer", version="9.9.9", migrations={"9000_made_up.py": WIDENED})
    groups = [Group("p0")]
    replicas = Replicas(tmp_path, groups, count=2, database=postgres_dsn)
    for place in replicas.places:
        runs(place, old)
    with replicas:
        runners = at_work(groups, replicas.ports, 1_000_000)
        for number in (0, 1):
            more(groups[0])
            assert replicas[number].terminate() == 0, replicas[number].said
            runs(replicas.places[number], new)
            replicas.start(number).ready()
            assert "Traceback" not in replicas[number].said, replicas[number].said
            if number == 0:
                beside_each_other(replicas, groups[0])
        more(groups[0])
        for runner in runners:
            runner.enough = True
        finished(runners)
        assert_all_is_well(groups, replicas, postgres_dsn)
        assert versions(replicas[0]) == ["9.9.9", "9.9.9"]
        assert "Traceback" not in replicas[1].said, replicas[1].said


def beside_each_other(replicas: Replicas, group: Group) -> None:
    """The new one follows the old one, and then leads it; both work meanwhile, whoever leads."""
    for leader in (1, 0):
        if leader == 0:  # the old one stands still until the other leads, and goes on as a follower
            replicas[1].process.send_signal(signal.SIGSTOP)
            until(lambda: leads(replicas, by=0) == 0, what="the new one to lead")
            replicas[1].process.send_signal(signal.SIGCONT)
        until(lambda leader=leader: leads(replicas, by=1) == leader, what=f"replica {leader} to lead")
        for service in (replicas[0], replicas[1]):
            service.ready()
            ticket = {"key": f"{leader}-{service.port}", "labels": {"provider": "z"}, "estimate": {"output": 1}}
            assert service.ask("POST", "/v1/tickets", ticket).body["state"] == "running"
        more(group)


def leads(replicas: Replicas, *, by: int) -> int:
    """Which replica leads, as one of them sees it."""
    leader = replicas[by].get("/v1/limits")["replica"]["leader"] or ""
    return next((number for number, port in enumerate(replicas.ports) if leader.endswith(f":{port}")), -1)


def more(group: Group, operations: int = 60) -> None:
    """Let clients do so many operations."""
    wanted = len(group.history) + operations
    until(lambda: len(group.history) >= wanted, what="work")


def versions(service: ServiceProcess) -> list[str]:
    return [one["version"] for one in service.get("/v1/limits")["replica"]["replicas"]]


def test_an_older_build_beside_a_newer_schema_goes_on_and_is_refused_when_it_starts(
    postgres_dsn: str, tmp_path: Path
) -> None:
    old = this_build(tmp_path / "older", version="0.0.9")
    new = this_build(tmp_path / "newer", version="9.9.9", migrations={"9000_made_up.py": WIDENED})
    replicas = Replicas(tmp_path, [Group("p0")], count=2, database=postgres_dsn)
    for place in replicas.places:
        runs(place, old)
    with replicas:
        replicas.kill(0)
        runs(replicas.places[0], new)
        replicas.start(0).ready()
        replicas.kill(1)
        refused = replicas.start(1)
        assert refused.process.wait(20) == 1
        assert "was written by a newer version (schema 9000_made_up): update this program" in refused.said
        assert "Traceback" not in refused.said
        with psycopg.connect(postgres_dsn) as connection:
            assert connection.execute("SELECT count(*) FROM made_up").fetchone() == (0,)
        replicas[0].ready()
