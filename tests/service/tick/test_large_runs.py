"""Large runs in the readings: judged by the caps of their account, with what they took out of every limit."""

import pytest

from quota_scheduler.service.tick.tick import FIRST_PASS
from quota_scheduler.store import facts
from tests.builders import MINUTE, MONDAY, a_limit, a_run_cap
from tests.service.tick.ticking import House


@pytest.mark.parametrize(
    ("account", "over"),
    [
        pytest.param("max-1", True, id="a run of the account that the cap is for"),
        pytest.param("max-2", False, id="a run of another account"),
    ],
)
def test_a_cap_on_an_account_judges_the_runs_of_that_account(tmp_path, account, over):
    mine = (("account", frozenset({"max-1"})),)
    limits = [a_run_cap(1_000, id="cap", match=mine), a_limit(10**6, id="week", match=mine)]
    with House(tmp_path / "quota.db", limits, high_usage_run=500) as house:
        with house.store.transaction() as tx:
            facts.remember(tx, FIRST_PASS, MONDAY.isoformat())
        house.use(5_000, run="nightly", account=account)
        (run,) = house.tick(after=MINUTE).runs
    assert (run.over_cap, dict(run.charges).get("week")) == (over, 5_000 if over else None)
