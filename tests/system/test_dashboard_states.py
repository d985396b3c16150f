"""Dashboards in states that matter at night: nothing happened yet, the service is gone, replicas differ, many limits.

A real Prometheus scrapes replicas that expose readings of a test's own; what stands on the panels is what Grafana's
mappings and thresholds make of the answers.
"""

import re
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from grafana.build import PAGES
from quota_scheduler.core.readings.readings import Counter, Readings, Spending
from quota_scheduler.core.units import Unit
from tests.docs.dashboards import JSON, charts, drawn, filled_in, load
from tests.shell.sample import a_forecast, a_limit, some_readings
from tests.system.prometheus_process import PrometheusProcess, needed
from tests.system.replicas import Replica
from tests.system.service_process import until

NUMBERS = ("stat", "bargauge")
ALIVE = "max(quota_scheduler_snapshot_timestamp_seconds)"
LIMIT = "team-daily/growth"


@pytest.fixture(autouse=True)
def _programs() -> None:
    needed("prometheus", "prometheus")


def now() -> datetime:
    return datetime.now(UTC)


def history(prometheus: PrometheusProcess, panel: JSON) -> list[JSON]:
    """What a panel over time draws of the last minute."""
    ends = now().timestamp()
    asked_for = {"start": f"{ends - 60}", "end": f"{ends}", "step": "1"}
    found = []
    for target in panel["targets"]:
        expr = filled_in(target["expr"], interval="4s")
        found += prometheus.get("query_range", query=expr, **asked_for)["result"]
    return found


def panel_of(uid: str, title: str) -> JSON:
    (found,) = (panel for panel in charts(load(uid)) if panel["title"] == title)
    return found


def asked(prometheus: PrometheusProcess, panel: JSON) -> list[tuple[dict[str, str], float]]:
    """What all queries of a panel find now."""
    return [each for t in panel["targets"] for each in prometheus.found(filled_in(t["expr"], interval="4s"))]


def seen(prometheus: PrometheusProcess, panel: JSON) -> list[tuple[str, str]]:
    """The texts and colours on a panel of numbers now."""
    return [drawn(panel, value) for _, value in asked(prometheus, panel)] or [drawn(panel, None)]


def all_panels(*kinds: str) -> list[tuple[str, JSON]]:
    found = [(uid, panel) for uid in PAGES for panel in charts(load(uid)) if not kinds or panel["type"] in kinds]
    assert found
    return found


class Scraped:
    """Replicas and the Prometheus that scrapes them; begins when all of them were scraped."""

    def __init__(self, folder: Path, *readings: Readings) -> None:
        self._stack = ExitStack()
        self.replicas = [
            self._stack.enter_context(Replica(each, leads=number == 0)) for number, each in enumerate(readings)
        ]
        ports = [replica.port for replica in self.replicas]
        self.prometheus = self._stack.enter_context(PrometheusProcess(folder / "tsdb", *ports))

    def __enter__(self) -> "Scraped":
        count = "sum(count_over_time(quota_scheduler_snapshot_timestamp_seconds[1m]))"
        until(lambda: sum(self.prometheus.values(count)) >= 2 * len(self.replicas), what="two scrapes of each")
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def stop(self) -> None:
        """Stop every replica, until Prometheus has noticed and no rate reaches back to when they were there."""
        for replica in self.replicas:
            replica.stop()
        until(lambda: not self.prometheus.values(ALIVE), what="a failed scrape")
        rates = "count(rate(quota_scheduler_database_query_duration_seconds_count[4s]))"
        until(lambda: not self.prometheus.values(rates), what="the end of the rates")


def test_a_service_that_is_gone_is_red_and_shows_no_zero_and_no_green(tmp_path: Path) -> None:
    with Scraped(tmp_path, some_readings(now())) as scraped:
        scraped.stop()
        for uid, panel in all_panels(*NUMBERS):
            assert seen(scraped.prometheus, panel) == [("service is down", "red")], (uid, panel["title"])
        for uid, panel in all_panels():
            assert asked(scraped.prometheus, panel) == [], (uid, panel["title"], "goes on after the end")


def test_the_past_of_a_limit_is_drawn_when_the_service_is_down_at_the_end_of_it(tmp_path: Path) -> None:
    with Scraped(tmp_path, some_readings(now())) as scraped:
        scraped.stop()
        for title in ("Usage against the pace", "Forecast fan", "Used, reserved and limit", "Error of past forecasts"):
            assert history(scraped.prometheus, panel_of("quota-limit", title)), title
        fan = panel_of("quota-fleet", "Forecast fan of the limit closest to running out")
        assert len(history(scraped.prometheus, fan)) == 4
        assert history(scraped.prometheus, panel_of("quota-fleet", "Usage"))


def test_a_service_that_has_done_nothing_yet_is_not_down(tmp_path: Path) -> None:
    """The other side: whatever is absent while the service answers has words of its own."""
    idle = a_limit(forecast=None, burns=(), waiting=(), level="open", risk="unknown", track=None, quality=None)
    for number, readings in enumerate((Readings(now()), Readings(now(), (idle,)))):
        (tmp_path / str(number)).mkdir()
        with Scraped(tmp_path / str(number), readings) as scraped:
            for uid, panel in all_panels(*NUMBERS):
                said = seen(scraped.prometheus, panel)
                assert ("service is down", "red") not in said, (uid, panel["title"])


def test_three_replicas_in_two_states_show_one_of_them(tmp_path: Path) -> None:
    """Scraped one after the other, replicas tell of the state before and after a change for some seconds."""
    before, after = ("throttled", "high", "minimal"), ("paused", "critical", "aggressive")
    states = [
        replace(
            some_readings(now()),
            limits=(a_limit(LIMIT, level=level, risk=risk, optimization=asked_for),),
        )
        for level, risk, asked_for in (before, after, before)
    ]
    with Scraped(tmp_path, *states) as scraped:
        states_of = re.compile("quota_(state|risk|optimization_level)")
        expressions = {t["expr"] for _, p in all_panels() for t in p["targets"] if states_of.search(t["expr"])}
        assert len(expressions) > 6
        for expr in expressions:
            found = scraped.prometheus.found(filled_in(expr))
            assert len({labels.get("limit") for labels, _ in found}) == len(found), expr
        for title, uid in (("Throttle level", "quota-limit"), ("Risk", "quota-limit")):
            text = {"Throttle level": "paused", "Risk": "critical"}[title]
            assert [said for said, _ in seen(scraped.prometheus, panel_of(uid, title))] == [text]
        for title, number in (("Throttle level", 2), ("Asked of runners", 2), ("Stopped limits", 2)):
            assert asked(scraped.prometheus, panel_of("quota-fleet", title)) == [({"limit": LIMIT}, number)]
        columns = panel_of("quota-fleet", "Limits")["targets"]
        found = {label: [t["expr"] for t in columns if f"quota_{label}" in t["expr"]] for label in ("state", "risk")}
        assert [scraped.prometheus.values(filled_in(*found[label])) for label in found] == [[2], [4]]


def test_any_number_of_replicas_show_the_same_figures(tmp_path: Path) -> None:
    at = now() - timedelta(seconds=1)
    per_process = {"Leaders", "Running since"}
    (tmp_path / "1").mkdir()
    (tmp_path / "3").mkdir()
    readings = some_readings(at)
    with Scraped(tmp_path / "1", readings) as one, Scraped(tmp_path / "3", *[readings] * 3) as three:
        for uid, panel in all_panels("stat"):
            if "Age" not in panel["title"] and panel["title"] not in per_process and "time()" not in str(panel):
                assert seen(one.prometheus, panel) == seen(three.prometheus, panel), (uid, panel["title"])


def running_out_in(seconds: float, at: datetime, used: int) -> Any:
    """Of a million, over the six hours to the reset, at a steady pace."""
    return a_forecast(at, used, round((1_000_000 - used) * 6 * 3600 / seconds))


def test_what_runs_out_next_comes_with_its_time_and_what_has_run_out_is_stopped(tmp_path: Path) -> None:
    at = now()
    limits = (
        a_limit("gone", now=at, used=2_630_000, level="exhausted", forecast=a_forecast(at, 2_630_000, 0)),
        a_limit("soon", now=at, used=380_000, level="open", forecast=running_out_in(600, at, 380_000)),
        a_limit("later", now=at, used=950_000, level="paused", forecast=running_out_in(9e3, at, 950_000)),
        a_limit("lasts", now=at, used=10_000, level="open", forecast=a_forecast(at, 10_000, 5_000)),
    )
    with Scraped(tmp_path, replace(some_readings(at), limits=limits)) as scraped:
        ((labels, seconds),) = asked(scraped.prometheus, panel_of("quota-fleet", "Next to run out in"))
        assert labels == {"limit": "soon"}
        assert 540 < seconds <= 600
        stopped = asked(scraped.prometheus, panel_of("quota-fleet", "Stopped limits"))
        assert stopped == [({"limit": "gone"}, 3), ({"limit": "later"}, 2)]
        column = panel_of("quota-fleet", "Limits")["targets"]
        runs_out = next(t["expr"] for t in column if "exhaustion" in t["expr"])
        found = sorted(scraped.prometheus.found(filled_in(runs_out)), key=lambda each: each[1])
        assert [labels["limit"] for labels, _ in found] == ["gone", "soon", "later", "lasts"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        pytest.param((), [("runs out next", "green")], id="no limit at all"),
        pytest.param((a_limit(forecast=None),), [("runs out next", "green")], id="none that will run out"),
    ],
)
def test_nothing_that_runs_out_is_good_news(tmp_path: Path, limits: tuple[Any, ...], said: list[Any]) -> None:
    with Scraped(tmp_path, Readings(now(), limits)) as scraped:
        assert seen(scraped.prometheus, panel_of("quota-fleet", "Next to run out in")) == said


def test_everybody_who_waits_is_counted_once_and_under_what_holds_them(tmp_path: Path) -> None:
    """Two limits hold different tickets: the larger of both is not how many wait, nor is what falls under a limit."""
    with Scraped(tmp_path, some_readings(now()), some_readings(now())) as scraped:
        for uid, title in (("quota-fleet", "Tickets waiting"), ("quota-queue", "Waiting now")):
            assert asked(scraped.prometheus, panel_of(uid, title)) == [({}, 5)]
        by_class = asked(scraped.prometheus, panel_of("quota-queue", "Waiting by class"))
        assert {labels["class"]: n for labels, n in by_class} == {"interactive": 1, "high": 0, "normal": 0, "low": 4}
        by_reason = asked(scraped.prometheus, panel_of("quota-queue", "Waiting by reason"))
        assert {labels["reason"]: n for labels, n in by_reason if n} == {"concurrency": 3, "paced": 2}
        columns = panel_of("quota-queue", "What holds them")["targets"]
        waiting, people, *_ = (scraped.prometheus.found(filled_in(column["expr"])) for column in columns)
        assert sorted((labels["limit"], labels["reason"], n) for labels, n in waiting) == [
            ("runs", "concurrency", 3),
            ("team-daily/growth", "no_headroom", 2),
        ]
        assert [(labels["limit"], n) for labels, n in people] == [("runs", 1)]
        for column in columns[2:]:
            found = scraped.prometheus.found(filled_in(column["expr"]))
            assert {(labels["limit"], labels["reason"]) for labels, _ in found} == {
                ("runs", "concurrency"),
                ("team-daily/growth", "no_headroom"),
            }


def test_a_limit_on_leases_is_full_and_shows_whom_it_holds(tmp_path: Path) -> None:
    plain = {"forecast": None, "burns": (), "waiting": (), "level": "open", "spending": Spending(), "quality": None}
    leases = plain | {"unit": Unit.LEASES, "amount": 4, "allowance": 4, "used": 0, "reserved": 4, "risk": "unknown"}
    full = a_limit("runs", leases=4, starts_at=None, ends_at=None, **leases)
    with Scraped(tmp_path, replace(some_readings(now()), limits=(full,))) as scraped:
        said = {
            title: [
                drawn(panel, value)
                for each in panel["targets"]
                for _, value in scraped.prometheus.found(filled_in(each["expr"], limit="runs"))
            ]
            for panel in charts(load("quota-limit"))
            if panel["type"] == "stat"
            for title in (panel["title"],)
        }
        assert said["Limit shown here"] == [("1", "red")]
        assert said["Throttle level"] == [("full", "dark-orange")]
        assert said["Runs out in"] == said["Chance to run out"] == [("no forecast", "text")]
        assert said["Runs that still fit"] == [("0", "red")]
        assert asked(scraped.prometheus, panel_of("quota-fleet", "Stopped limits")) == [({"limit": "runs"}, 4)]
        assert asked(scraped.prometheus, panel_of("quota-fleet", "Asked of runners")) == []
        assert not scraped.prometheus.values("quota_optimization_level")


MOST_LINES = 24
"""Lines in one graph that a legend beside it still has room for."""


def test_sixty_one_limits_stay_readable(tmp_path: Path) -> None:
    at, names = now(), [f"team-daily/team-{number:02}" for number in range(61)]
    limits = tuple(
        a_limit(name, now=at, used=10_000 * number, forecast=a_forecast(at, 10_000 * number, 5_000 * number))
        for number, name in enumerate(names)
    )
    counters = tuple(
        Counter("quota_consumed_tokens_total", (name, "anthropic", "claude-sonnet-5", "output"), 4_000)
        for name in names
    )
    readings = replace(some_readings(at), limits=limits, counters=counters)
    with Scraped(tmp_path, readings) as scraped:
        for uid, panel in all_panels("timeseries", "state-timeline", "bargauge", "stat"):
            lines = {str(each["metric"]) for each in history(scraped.prometheus, panel)}
            assert len(lines) <= MOST_LINES, (uid, panel["title"])
        fullest = history(scraped.prometheus, panel_of("quota-fleet", "Expected at the reset"))
        assert {each["metric"]["limit"] for each in fullest} == set(names[-10:])
        fewest = asked(scraped.prometheus, panel_of("quota-fleet", "Runs that still fit"))
        assert len(fewest) == 10
        assert [value for _, value in fewest] == sorted(value for _, value in fewest)
