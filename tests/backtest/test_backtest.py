"""The backtest: a table of every method over recorded usage, and a check that none sees the future."""

import csv
import json
import math
import random
from datetime import datetime, timedelta

import pytest

from quota_scheduler.backtest import run as backtest
from quota_scheduler.backtest.run import METHODS, evaluate, forecast, leak_free, read
from quota_scheduler.backtest.scores import Honesty, ScoreRow, honesty, measure
from quota_scheduler.backtest.traces import Trace, cases_of

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = datetime(2026, 1, 1)


def a_developer(days: int, seed: int) -> list[float]:
    """Return bursty days with idle ones, the traits of recorded usage."""
    dice = random.Random(seed)
    return [round(dice.lognormvariate(12, 1.2)) if dice.random() < 0.7 else 0 for _ in range(days)]


@pytest.fixture
def folder(tmp_path):
    with (tmp_path / "daily.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["series_id", "date", "tokens"])
        for seed in range(3):
            for i, tokens in enumerate(a_developer(75, seed)):
                rows.writerow([f"s{seed}", (START + i * DAY).date().isoformat(), tokens])
    with (tmp_path / "hourly.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["series_id", "hour_utc", "tokens"])
        for day in range(20):
            for hour in (9, 10, 11, 15):
                rows.writerow(["h", (START + day * DAY + hour * HOUR).isoformat(timespec="minutes"), 100 + day + hour])
    return tmp_path


def test_every_method_gets_a_row_for_every_kind_of_case(folder):
    result = evaluate(folder)
    kinds = list(dict.fromkeys(row.cases for row in result.rows))
    assert kinds == [
        "30 days 25%",
        "30 days 50%",
        "30 days 75%",
        "month 25%",
        "month 50%",
        "month 75%",
        "week 25%",
        "week 50%",
        "week 75%",
        "5h 20%",
        "5h 40%",
        "5h 60%",
        "5h 80%",
    ]
    assert [row.method for row in result.rows[:4]] == list(METHODS)
    assert all(result.leak_free.values())
    for row in result.rows:
        assert row.n > 0
        assert math.isfinite(row.wape)
        assert (row.coverage is None) == (row.method != "ours")
    assert result.honesty is not None
    assert 0 <= result.honesty.error <= 0.5


def test_it_speaks_text_json_and_pictures(folder):
    result = evaluate(folder, ["mean-7", "ours"])
    text = result.to_text()
    assert "30 days 50% ours" in text
    assert text.splitlines()[0].split()[2:] == [
        "n",
        "WAPE",
        "mdAPE",
        "±10",
        "%",
        "exceed",
        "cover",
        "pinball",
        "width",
        "ms",
    ]
    assert json.loads(result.to_json())["leak_free"] == {"mean-7": True, "ours": True}
    assert result.to_svg().startswith("<svg")


def test_the_measures_are_those_of_plain_cases():
    trace = Trace("a", START, DAY, (100.0,) * 30)
    cases = [case for case in cases_of(trace) if case.group == ("week", "50%")]
    totals = [case.actual for case in cases]
    assert totals == [700.0] * len(cases)
    answers = [(770.0, 690.0, 800.0), *[(700.0, 710.0, 800.0)] * (len(cases) - 1)]
    row = measure("m", cases, answers, 0.5)
    n = len(cases)
    assert row == ScoreRow(
        method="m",
        cases="week 50%",
        n=n,
        wape=pytest.approx(0.1 / n),
        mdape=0.0,
        within_10=1.0,
        exceed=pytest.approx(1 - 1 / n),
        coverage=pytest.approx(1 / n),
        pinball=pytest.approx(((0.1 * 10 + 0.5 * 70 + 0.1 * 100) + (n - 1) * (0.9 * 10 + 0.1 * 100)) / 3 / 700 / n),
        width=pytest.approx((110 + 90 * (n - 1)) / 700 / n),
        ms=0.5,
    )


def test_confidence_is_judged_by_what_came():
    early = [(0.9, True), (0.9, True), (0.5, False), (0.5, True)]
    late = [(0.95, True), (0.95, False), (0.1, False), (0.2, True)]
    assert honesty(early, late) == Honesty(error=pytest.approx(0.05), claims=4, true=0.75, share=0.5)
    assert honesty([], late) is None


def test_windows_are_complete_ones():
    trace = Trace("a", datetime(2026, 1, 15), DAY, (1.0,) * 60)
    found = {(case.kind, case.start, case.end) for case in cases_of(trace)}
    assert ("month", datetime(2026, 2, 1), datetime(2026, 3, 1)) in found
    assert {kind for kind, *_ in found} == {"30 days", "month", "week"}
    assert all(trace.start <= start and end <= trace.end for _, start, end in found)
    assert {start.weekday() for kind, start, _ in found if kind == "week"} == {0}


def test_a_method_that_sees_the_future_is_caught(folder):
    trace = read(folder)[0]
    cases = cases_of(trace)

    def cheat(history, now, start, end):  # noqa: ARG001
        cheat.seen += 1
        return float(cheat.seen), None, None

    cheat.seen = 0
    assert leak_free(forecast, cases)
    assert not leak_free(cheat, cases)


def test_the_seeds_formula_leaves_out_idle_days():
    history = [(START, 700.0), (START + 6 * DAY, 700.0)]
    now, end = START + 7 * DAY, START + 14 * DAY
    assert backtest.BASELINES["weighted-mean"](history, now, START, end) == pytest.approx(1400 + 7 * 700)
    assert backtest.BASELINES["mean-7"](history, now, START, end) == pytest.approx(1400 + 1400)
    assert backtest.BASELINES["pro-rata"](history, now, START, end) == pytest.approx(2800)


def test_the_adapter_takes_naive_instants():
    trace = Trace("steady", START, DAY, (100.0,) * 60)
    now = START + 45 * DAY
    median, low, high = forecast(trace.history(now), now, START + 30 * DAY, START + 60 * DAY)
    assert median == pytest.approx(3000, rel=0.03)
    assert low is not None
    assert high is not None
    assert 1500 <= low <= median <= high


def test_an_unknown_method_or_an_empty_folder_says_so(tmp_path):
    with pytest.raises(KeyError, match="nonsense"):
        evaluate(tmp_path, ["nonsense"])
    with pytest.raises(FileNotFoundError, match="no daily"):
        evaluate(tmp_path)
