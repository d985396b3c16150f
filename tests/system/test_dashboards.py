"""Dashboards against the real thing: the service at work, scraped by a Prometheus, asked everything they ask."""

import math
import time

from grafana.build import PAGES
from tests.docs.dashboards import asked, filled_in, load, variables
from tests.system.fleet import Fleet, config, past, work
from tests.system.prometheus_process import PrometheusProcess, needed
from tests.system.service_process import HttpReceiver, Place, ServiceProcess, free_port

WORK_SECONDS = 20
"""Long enough for every figure to have moved, and for a rate over ten seconds to have its samples."""
MOST_SECONDS = 60
"""How long it may take on a busy machine until Prometheus has seen the last of it."""
SHOWN = ("nightly-daily", "spend", "openai-runs", "burst")
"""Limits whose page is asked: in tokens, in dollars, on leases, and one that resets; each has what others have not."""
MAY_BE_EMPTY = {("quota-service", "Failed and skipped runs, last hour B")}
"""Queries that may find nothing: a service that keeps up skips no run."""


def problems(prometheus: PrometheusProcess, uid: str) -> list[str]:
    """What a dashboard's queries, thresholds and variables find that is not finite, or do not find."""
    found = []
    for title, expr in asked(load(uid)):
        pages = SHOWN if '"$limit"' in expr else SHOWN[:1]
        values = [value for limit in pages for value in prometheus.values(filled_in(expr, limit=limit))]
        if not all(map(math.isfinite, values)):
            found.append(f"{uid}: {title}: {values} for {expr}")
        if not values and (uid, title) not in MAY_BE_EMPTY:
            found.append(f"{uid}: {title}: nothing for {expr}")
    for name, selector, label in variables(load(uid)):
        if not prometheus.get(f"label/{label}/values", **{"match[]": filled_in(selector)}):
            found.append(f"{uid}: variable {name} has no choices")
    return found


def test_every_query_of_every_dashboard_finds_finite_data_while_a_fleet_works(place: Place) -> None:
    needed("prometheus", "prometheus")
    past(place.home)
    port = free_port()
    with HttpReceiver() as good, HttpReceiver(answer=500) as bad, PrometheusProcess(place.home / "tsdb", port) as asker:
        place.config(config(good.url, bad.url))
        with ServiceProcess(place, port=port) as service:
            Fleet(service.caught_up(), place.home).morning()
            assert service.terminate() == 0
        with ServiceProcess(place, port=port) as service:
            fleet = Fleet(service.caught_up(), place.home, first=1_000)
            fleet.mishaps()
            begun, found = time.monotonic(), [""]

            def seen(_: object) -> bool:
                """Whether everything that moved has been scraped; asked again while the fleet goes on working."""
                worked = time.monotonic() - begun
                if worked > WORK_SECONDS and bad.got and good.got:
                    found[:] = [each for uid in PAGES for each in problems(asker, uid)]
                return not found or worked > MOST_SECONDS

            work(fleet, seen)
            assert "\n".join(found) == ""
