"""Dashboards against the real thing: the service at work, scraped by a Prometheus, asked everything they ask."""

import math
import time
from collections.abc import Callable

import pytest

from grafana.build import PAGES
from tests.docs.dashboards import asked, filled_in, load, variables
from tests.system.fleet import Fleet, config, past, work
from tests.system.prometheus_process import PrometheusProcess, needed
from tests.system.service_process import HttpReceiver, Place, ServiceProcess, free_port

WORK_SECONDS = 4
"""Before that there is no use in asking: most figures have not moved yet. What has no answer then is asked again."""
MOST_SECONDS = 240
"""How long the fleet may work on a busy machine until every query has found something; it ends as soon as all have."""
SHOWN = ("nightly-daily", "spend", "openai-runs", "burst", "plan")
"""Limits whose page is asked: tokens, dollars, leases, one that resets, one in percent: each has what others lack."""
MAY_BE_EMPTY = {
    ("quota-service", "Failed and skipped runs, last hour B"),
}
"""Queries that may find nothing: a service that keeps up skips no run."""
Question = Callable[[PrometheusProcess], str]
"""Something that a dashboard asks: what is wrong with the answer, nothing when it is as it should be."""


def query(uid: str, title: str, expr: str) -> Question:
    """A panel's query, threshold or mark: it finds something, and nothing that is not finite."""

    def wrong(prometheus: PrometheusProcess) -> str:
        pages = SHOWN if '"$limit"' in expr else SHOWN[:1]
        values = [value for limit in pages for value in prometheus.values(filled_in(expr, limit=limit))]
        if not all(map(math.isfinite, values)):
            return f"{uid}: {title}: {values} for {expr}"
        return "" if values or (uid, title) in MAY_BE_EMPTY else f"{uid}: {title}: nothing for {expr}"

    return wrong


def choice(uid: str, name: str, selector: str, label: str) -> Question:
    """A variable: there is something to choose."""

    def wrong(prometheus: PrometheusProcess) -> str:
        choices = prometheus.get(f"label/{label}/values", **{"match[]": filled_in(selector)})
        return "" if choices else f"{uid}: variable {name} has no choices"

    return wrong


def questions() -> list[Question]:
    """Everything that the dashboards ask."""
    queries = [query(uid, title, expr) for uid in PAGES for title, expr in asked(load(uid))]
    return queries + [choice(uid, *variable) for uid in PAGES for variable in variables(load(uid))]


@pytest.mark.timeout(MOST_SECONDS + 120)
def test_every_query_of_every_dashboard_finds_finite_data_while_a_fleet_works(place: Place) -> None:
    needed("prometheus", "prometheus")
    past(place.home)
    port = free_port()
    with HttpReceiver() as good, HttpReceiver() as bad, PrometheusProcess(place.home / "tsdb", port) as asker:
        place.config(config(good.url, bad.url))
        with ServiceProcess(place, port=port) as service:
            Fleet(service.caught_up(), place.home).morning()
            assert service.terminate() == 0
        bad.answer = 500  # only now: a failure before would hold its next message back for half a minute
        with ServiceProcess(place, port=port) as service:
            fleet = Fleet(service.caught_up(), place.home, first=1_000)
            fleet.mishaps()
            begun = time.monotonic()
            wrong = dict.fromkeys(questions(), "was never asked")

            def seen(_: object) -> bool:
                """Whether every question has had its answer; those that have not are asked again while work goes on."""
                worked = time.monotonic() - begun
                if worked > WORK_SECONDS and bad.got and good.got:
                    answers = {question: question(asker) for question in wrong}
                    wrong.clear()
                    wrong.update({question: problem for question, problem in answers.items() if problem})
                return not wrong or worked > MOST_SECONDS

            work(fleet, seen)
            assert "\n".join(wrong.values()) == ""
