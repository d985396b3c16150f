"""Breakers outlive a restart, whole."""

from datetime import timedelta

import pytest

from quota_scheduler.core.admission.breaker import Breaker
from quota_scheduler.store import Store, breakers
from tests.builders import MINUTE, MONDAY, SECOND
from tests.fakes import FixedClock

OPENED = Breaker("anthropic", "max-1", MONDAY, MONDAY, MONDAY + 5 * SECOND, timedelta(seconds=5, microseconds=1), 3)


@pytest.mark.parametrize(
    "breaker",
    [
        pytest.param(OPENED, id="open"),
        pytest.param(Breaker("openai", "é/1", MONDAY, MONDAY, MONDAY, MINUTE, 2, 7, MONDAY), id="probing"),
        pytest.param(Breaker("openai", "", MONDAY, MONDAY, MONDAY, MINUTE, closed_at=MONDAY), id="closed"),
    ],
)
def test_a_breaker_comes_back_as_it_was(tmp_path, breaker):
    with Store(tmp_path / "quota.db", clock=FixedClock(MONDAY)) as store:
        with store.transaction() as tx:
            breakers.save(tx, {(OPENED.provider, OPENED.account): OPENED})
            breakers.save(tx, {(OPENED.provider, OPENED.account): None, (breaker.provider, breaker.account): breaker})
        with store.reading() as tx:
            assert list(breakers.load(tx)) == [breaker]
        with store.transaction() as tx:
            breakers.save(tx, {(breaker.provider, breaker.account): None})
            assert list(breakers.load(tx)) == []
