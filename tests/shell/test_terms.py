"""Reload, hold, changed limits, ticks and tickets at once: what was written last is in force, never a mixture."""

import threading
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest

from quota_scheduler.assemble import assemble, reload
from quota_scheduler.config import Config, load
from quota_scheduler.service.operate.holds import everything_held
from quota_scheduler.service.operate.limits import limits_now
from tests.fakes import FixedClock
from tests.shell.edge import START, Edge, ticket

ROUNDS = 12
CONFIG = """
database: sqlite:///quota.db
fair_share: {share}
limits:
  - {{id: daily, match: {{provider: anthropic}}, unit: tokens, amount: {amount}, window: day, holdback: 0}}
"""
SHARES = {1000: "team", 2000: "project"}
"""Each file has an amount and a share that belong together."""


class Files:
    """A configuration file that says something else with each reading."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.amounts = folder, cycle(SHARES)

    def __call__(self) -> Config:
        amount, path = next(self.amounts), self.folder / "quota.yaml"
        path.write_text(CONFIG.format(amount=amount, share=SHARES[amount]))
        return load(path, {"HOME": str(self.folder)})


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def edge(files: Files) -> Iterator[Edge]:
    clock = FixedClock(START)
    service = assemble(files(), clock=clock)
    service.writer.start()
    service.read()
    yield Edge(service, clock)
    service.stop()


def together(*work: Callable[[int], None]) -> None:
    """Do everything so many times, all at once; what goes wrong in a thread goes wrong here."""
    problems: list[BaseException] = []

    def repeat(each: Callable[[int], None]) -> None:
        try:
            for turn in range(ROUNDS):
                each(turn)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=repeat, args=(each,)) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_everything_that_changes_the_terms_at_once(edge: Edge, files: Files) -> None:
    service, torn = edge.service, list[object]()

    def look(_: int) -> None:
        terms = service.writer.terms
        if SHARES.get(terms.limits[0].amount, terms.policy.fair_share) != terms.policy.fair_share:
            torn.append(terms)

    together(
        lambda _: reload(service, files),
        lambda turn: edge.post("/v1/hold", {"on": turn % 2 == 0}),
        lambda turn: edge.post("/v1/hold", {"on": turn % 3 == 0}),
        lambda turn: edge.ask("PATCH", "/v1/limits/daily", {"mode": "warn" if turn % 2 else "enforce"}),
        lambda turn: edge.post("/v1/tickets", ticket(f"a{turn}", 1)),
        lambda turn: edge.post("/v1/tickets", ticket(f"b{turn}", 1)),
        lambda _: service.learn_ends(),
        lambda _: service.tick(),
        look,
    )
    with service.store.reading() as tx:
        stored, hold = limits_now(tx, service.config.limits), everything_held(tx) is not None
    assert torn == []
    assert (service.writer.terms.limits, service.writer.terms.hold) == (stored, hold)
    edge.post("/v1/hold", {"on": False})
    states = {edge.submit(f"{thread}{turn}", 1)["state"] for thread in "ab" for turn in range(ROUNDS)}
    assert states <= {"running"}
