"""R14, R16: figures and instants that cannot be meant are bounded, and nothing breaks on them."""

import json

import pytest

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import LARGEST_EVENT, LARGEST_SUM, Unit
from quota_scheduler.core.usage import Usage
from quota_scheduler.service.record import record_usage
from quota_scheduler.service.upkeep.doctor import examine
from quota_scheduler.sources.transcript import read_lines
from quota_scheduler.store import ledger
from tests.builders import DAY, MONDAY, a_limit, a_usage_event, at


@pytest.mark.spoils_sums
@pytest.mark.parametrize(
    "table", ["rollups", "label_totals", "runs", "windows"], ids=lambda table: f"R14: {table} stay at their bound"
)
def test_R14_sums_stay_integers_that_the_database_can_hold(world, table):
    here = world(a_limit(10**15), a_limit(10**15, id="money", unit=Unit.USD))
    here.record(a_usage_event(10, run="r1"))
    with here.store.transaction() as tx:
        column = "used" if table == "windows" else "output"
        tx.execute(f"UPDATE {table} SET {column} = ?", (LARGEST_SUM - 5,))
        record_usage(tx, [a_usage_event(100, key="e2", run="r1")], here.limits)
        kept = [row[0] for row in tx.rows(f"SELECT {column} FROM {table}")]
    assert (max(kept), {type(sum_) for sum_ in kept}) == (LARGEST_SUM, {int})


@pytest.mark.spoils_sums
def test_R14_sums_over_rows_at_the_bound_do_not_overflow(world):
    here = world(a_limit())
    for day in range(3):
        here.record(a_usage_event(10, key=f"e{day}", at=MONDAY - day * DAY, run=f"r{day}"))
    with here.store.transaction() as tx:
        tx.execute("UPDATE rollups SET output = ?", (LARGEST_SUM,))
        tx.execute("UPDATE label_totals SET output = ?", (LARGEST_SUM,))
        tx.execute("UPDATE events SET output = ?", (LARGEST_SUM,))
        assert [usage.output for _, _, usage in ledger.by_day(tx, MONDAY - 5 * DAY)] == [LARGEST_SUM] * 3
        wrong = [finding.check for finding in examine(tx, here.limits) if finding.wrong]
    assert [check for check in wrong if check in ("rollups", "totals")] == []


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        pytest.param(LARGEST_EVENT, LARGEST_EVENT, id="R14: the largest event there is"),
        pytest.param(LARGEST_EVENT + 1, LARGEST_EVENT, id="R14: more counts as that"),
        pytest.param(10**25, LARGEST_EVENT, id="R14: however much more"),
    ],
)
def test_R14_an_event_is_bounded(world, told, counted):
    here = world(a_limit(10**15), a_limit(10**15, id="money", unit=Unit.USD))
    here.record(a_usage_event(usage=Usage(output=told, requests=1, cost_microusd=told * 10**9)))
    assert here.windows()["day"] == (counted, 0, 0)
    assert here.windows()["money"] == (10**15, 0, 0)


def line(timestamp, tokens=10):
    usage = {"input_tokens": tokens, "output_tokens": 0}
    message = {"id": "m", "role": "assistant", "model": "claude-opus-5", "content": [], "usage": usage}
    return json.dumps(
        {
            "type": "assistant",
            "uuid": "u",
            "sessionId": "s",
            "requestId": "r",
            "timestamp": timestamp,
            "message": message,
        }
    ).encode()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(line("2000-01-01T00:00:00Z"), (1, 0), id="R16: the first instant that can be meant"),
        pytest.param(line("1999-12-31T23:59:59Z"), (0, 1), id="R16: before it is garbled"),
        pytest.param(line("1969-12-31T23:59:59Z"), (0, 1), id="R16: before 1970 too"),
        pytest.param(line("2199-12-31T23:59:59Z"), (1, 0), id="R16: the last second"),
        pytest.param(line("2200-01-01T00:00:00Z"), (0, 1), id="R16: after it is garbled"),
        pytest.param(line("2026-11-23T09:00:00Z", LARGEST_EVENT + 1), (0, 1), id="R14: more tokens than there are"),
    ],
)
def test_R16_a_line_that_cannot_be_meant_is_garbled(text, found):
    read = read_lines([text], session="s", labeller=lambda *_: (Labels("anthropic"), Priority.INTERACTIVE))
    assert (len(read.events), read.errors) == found


def test_R16_the_doctor_finds_nothing_wrong_with_what_an_earlier_build_took_in(world):
    here = world(a_limit())
    here.record(a_usage_event(10, at=at("1969-12-31T12:00:00Z")), a_usage_event(5, key="e2"))
    with here.store.transaction() as tx:
        found = {finding.check: finding.detail for finding in examine(tx, here.limits)}
    assert found["rollups"] == "15 tokens rolled up, 15 in events"
