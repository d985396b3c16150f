"""One real service on SQLite under kills, cuts and held-back answers, judged by what its clients were told."""

import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.system.service_process import ServiceProcess, until
from tests.torture.balance_model import State, after
from tests.torture.linearizable import judge
from tests.torture.operations import Operation, Verb, bounded
from tests.torture.proxy import Proxy
from tests.torture.replicas import Replicas, kill_at_random
from tests.torture.runners import Group, Runner
from tests.torture.sums import used, wrong_fences

pytestmark = pytest.mark.system
IN_A_GROUP = 5
"""Runners that share limits: more at once would make an order costly to find."""


def at_work(groups: Sequence[Group], ports: Sequence[int], operations: int) -> list[Runner]:
    """Runners that have begun: ``operations`` in all."""
    each = operations // (len(groups) * IN_A_GROUP)
    numbered = [(group, number) for group in groups for number in range(IN_A_GROUP)]
    runners = [Runner(number, group, ports, each) for group, number in numbered]
    for runner in runners:
        runner.start()
    return runners


def finished(runners: Sequence[Runner]) -> None:
    """Wait until the work is done, and complain about whatever went wrong with it."""
    for runner in runners:
        runner.join(300)
        assert not runner.is_alive()
        if runner.problem:
            raise runner.problem


def assert_judged(groups: Sequence[Group], service: ServiceProcess) -> None:
    """An order for each group's history, fences that grow, and sums that the service shows, too."""
    assert wrong_fences([operation for group in groups for operation in group.history]) == []
    for group in groups:
        names = (group.all_, group.team)
        start = State(tuple((name, 0) for name in names), tuple((name, group.room) for name in names))
        judgement = judge(bounded(group.history), start, after)
        assert judgement.ok, judgement.why
        expected = used(group.history, names)
        until(lambda expected=expected: shown(service, expected), seconds=10, what=f"a picture with {expected}")


def shown(service: ServiceProcess, expected: dict[str, int]) -> bool:
    """Whether the limits show what was used, and nothing reserved any more."""
    seen = {each["limit"]: (each["used"], each["reserved"]) for each in service.get("/v1/limits")["limits"]}
    return all(seen.get(name) == (total, 0) for name, total in expected.items())


def stored(database: Path) -> dict[str, tuple[int, int]]:
    """Used and reserved by limit, as the file has them once nobody writes it."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT rule, used + reported, reserved FROM windows WHERE closed = 0").fetchall()
    return {rule: (total, held) for rule, total, held in rows}


def all_used(groups: Sequence[Group]) -> dict[str, tuple[int, int]]:
    return {
        name: (total, 0) for group in groups for name, total in used(group.history, (group.all_, group.team)).items()
    }


KILLS = [
    pytest.param(1, 2, id="two kills"),
    pytest.param(2, 120, id="120 kills", marks=pytest.mark.torture),
]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("providers", "kills"), KILLS)
def test_kills_at_random_lose_nothing_and_admit_nothing_twice(tmp_path: Path, providers: int, kills: int) -> None:
    groups = [Group(f"p{number}") for number in range(providers)]
    with Replicas(tmp_path, groups) as replicas:
        runners = at_work(groups, replicas.ports, 1_000_000)
        kill_at_random(replicas, kills, random.Random(kills), runners)
        finished(runners)
        assert_judged(groups, replicas[0].ready())
        assert replicas[0].terminate() == 0
        place = replicas.places[0]
        assert stored(place.database) == all_used(groups)
        assert place.run("doctor").returncode == 0


CUTS = [
    pytest.param(200, id="two hundred requests"),
    pytest.param(12_000, id="twelve thousand requests", marks=pytest.mark.torture),
]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("operations", CUTS)
def test_answers_that_are_cut_off_after_the_commit_count_once(tmp_path: Path, operations: int) -> None:
    groups = [Group("p0")]
    with Replicas(tmp_path, groups) as replicas, Proxy(("127.0.0.1", replicas.ports[0]), seed=1) as proxy:
        proxy.cut_share, proxy.delay_seconds = 0.2, 0.001
        runners = at_work(groups, [proxy.port], operations)
        finished(runners)
        assert proxy.cuts > operations // 20
        assert lost(groups[0].history) >= proxy.cuts
        assert_judged(groups, replicas[0])
        assert replicas[0].terminate() == 0
        assert stored(replicas.places[0].database) == all_used(groups)


def lost(history: Sequence[Operation]) -> int:
    """How many answers nobody heard."""
    return sum(1 for operation in history if operation.answer is None)


def test_a_partition_keeps_clients_waiting_and_loses_nothing(tmp_path: Path) -> None:
    groups = [Group("p0")]
    with Replicas(tmp_path, groups) as replicas, Proxy(("127.0.0.1", replicas.ports[0])) as proxy:
        runners = at_work(groups, [proxy.port], 150)
        until(lambda: len(groups[0].history) > 30, what="work")
        proxy.deaf = True
        until(lambda: lost(groups[0].history) >= IN_A_GROUP, what="answers that do not come")
        proxy.cut_now()
        proxy.heal()
        finished(runners)
        assert_judged(groups, replicas[0])
        verbs = {operation.verb for operation in groups[0].history if operation.answer}
        assert verbs >= {Verb.SUBMIT, Verb.POLL, Verb.RENEW, Verb.RELEASE, Verb.USE}
