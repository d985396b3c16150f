"""Finished runs as examples: only the newest of each kind are read, however many there are until they are pruned."""

from datetime import timedelta

import pytest

from quota_scheduler.core.cycle.closing import FinishedRun
from quota_scheduler.core.tickets.run_history import Finished
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Store, run_history
from quota_scheduler.store.run_history import KEPT
from tests.builders import MONDAY
from tests.fakes import FixedClock

MANY = KEPT + 50


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "quota.db", clock=FixedClock(MONDAY)) as store:
        yield store


def a_run(number: int, workflow: str, task_type: str) -> FinishedRun:
    at = MONDAY + timedelta(seconds=number)
    return FinishedRun(
        number, f"run{number}", "completed", Finished(at, workflow, task_type, 10, 100, False, Usage(output=number))
    )


def test_the_newest_of_each_workflow_and_task_type_are_read_before_and_after_pruning(store):
    often = [a_run(n, "nightly", "review") for n in range(MANY)]
    seldom = [a_run(MANY + n, "nightly", "fix") for n in range(3)]
    other = [a_run(MANY + 3, "weekly", "review")]
    with store.transaction() as tx:
        run_history.remember(tx, [*often, *seldom, *other])
        read = run_history.load(tx)
        pruned = run_history.prune(tx)
        kept = run_history.load(tx)
    newest = [run.example for run in (*other, *reversed(seldom), *reversed(often[-KEPT + 1 :]))]
    assert (read, kept, pruned) == (newest, newest, MANY - KEPT + 1)
