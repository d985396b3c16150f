"""Build the dashboards: the SDK's model in, classic dashboard JSON (schema version 42) out.

python -m grafana.build                     writes grafana/dashboards/*.json; a test fails when they differ from this
python -m grafana.build --runbooks URL      the same, with links to where your runbooks are published
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from grafana import efficiency, fleet, limit, queue, service
from grafana.panels import (
    mark,
    placed,
    source,
    variable,
)
from grafana.queries import FLEET, LIMITS, ONE, most

HERE = Path(__file__).parent
TAG = "quota-scheduler"
_LIMIT_NAMES = f"label_values(quota_usage_ratio{{{FLEET}}}, limit)"
LIMIT = variable("limits", "Limits", _LIMIT_NAMES)
ONE_LIMIT = variable("limit", "Limit", _LIMIT_NAMES, several=False)
WORKFLOW = variable("workflow", "Workflow", f"label_values(quota_workflow_cache_hit_ratio{{{FLEET}}}, workflow)")


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard: its title, what it is for, its panels, own variables and time range."""

    title: str
    text: str
    panels: Callable[[], list[Any]]
    variables: tuple[model.VariableModel, ...] = ()
    since: str = "now-24h"


PAGES = {
    "quota-fleet": Page(
        "Quota fleet overview",
        "What is full, what will be, when it is fresh again, and what is asked of runners.",
        fleet.panels,
        (LIMIT,),
    ),
    "quota-limit": Page(
        "Quota limit detail",
        "One limit: usage against its pace, forecast, burn, room, and how good its forecasts have been.",
        limit.panels,
        (ONE_LIMIT,),
        "now-2d",
    ),
    "quota-queue": Page(
        "Quota throttle queue",
        "Who waits, for how long, what was decided and why, and what runs.",
        queue.panels,
        (LIMIT,),
        "now-6h",
    ),
    "quota-efficiency": Page(
        "Quota efficiency",
        "Where the tokens go, how well the cache works, how large runs are, and what optimizations brought.",
        efficiency.panels,
        (LIMIT, WORKFLOW),
    ),
    "quota-service": Page(
        "Quota Scheduler itself",
        "Is it up and current, do its tasks and notifications work, and what does it cost.",
        service.panels,
        (),
        "now-6h",
    ),
}


def dashboard(uid: str, page: Page, runbooks: str = "") -> model.Dashboard:
    """One dashboard with what all of them share."""
    job = variable("job", "Job", "label_values(quota_scheduler_build_info, job)")
    replica = variable("instance", "Replica", 'label_values(quota_scheduler_build_info{job=~"$job"}, instance)')
    return model.Dashboard(
        uid=uid,
        title=page.title,
        description=page.text,
        tags=[TAG],
        timezone="",
        editable=False,
        graph_tooltip=model.DashboardCursorSync.CROSSHAIR,
        time=model.DashboardDashboardTime(from_val=page.since, to="now"),
        timepicker=model.TimePickerConfig(),
        fiscal_year_start_month=0,
        refresh="30s",
        schema_version=42,
        version=1,
        templating=model.DashboardDashboardTemplating(list_val=[source(), job, replica, *page.variables]),
        annotations=model.AnnotationContainer(list_val=_marks(page)),
        links=_links(runbooks),
        panels=placed(page.panels()),
    )


def _marks(page: Page) -> list[model.AnnotationQuery]:
    """Resets, and alerts that fire in the service."""
    matchers = ONE if ONE_LIMIT in page.variables else LIMITS if LIMIT in page.variables else FLEET
    resets = f"max by (limit) (changes(quota_window_end_timestamp_seconds{{{matchers}}}[1m])) > 0"
    alerts = f"{most('quota_alerts_firing', 'alert, severity', FLEET)} > 0"
    return [
        mark("Window reset", "blue", resets, "Reset of {{limit}}"),
        mark("Alert firing", "red", alerts, "{{alert}} ({{severity}})"),
    ]


def _links(runbooks: str) -> list[model.DashboardLink]:
    """The other dashboards; runbooks only where an address is known, since Grafana does not serve the file."""
    links = [
        model.DashboardLink(
            title="Quota dashboards",
            type_val=model.DashboardLinkType.DASHBOARDS,
            icon="external link",
            tooltip="The other dashboards, with the same choices and time range",
            tags=[TAG],
            as_dropdown=True,
            include_vars=True,
            keep_time=True,
        ),
    ]
    if runbooks:
        links.append(
            model.DashboardLink(
                title="Runbooks",
                type_val=model.DashboardLinkType.LINK,
                icon="doc",
                tooltip="What to look at and what to do, alert by alert",
                url=runbooks,
                target_blank=True,
            )
        )
    return links


def render(uid: str, page: Page, runbooks: str = "") -> str:
    """The file's text. ``id`` is null, so that an import makes a new dashboard; the SDK leaves out what is null.

    It also places links and marks in a menu, while they belong on the page, and gives tables a footer, which they have
    no more.
    """
    found: dict[str, Any] = {"id": None} | json.loads(JSONEncoder().encode(dashboard(uid, page, runbooks)))
    for each in (*found["links"], *found["annotations"]["list"]):
        each.pop("placement")
    for panel in found["panels"]:
        panel.get("options", {}).pop("footer", None)
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write every dashboard."""
    parser = argparse.ArgumentParser(description="Build the dashboards.")
    parser.add_argument("--runbooks", metavar="URL", default="", help="where your runbooks are published")
    runbooks = parser.parse_args(arguments).runbooks
    for uid, page in PAGES.items():
        (HERE / "dashboards" / f"{uid}.json").write_text(render(uid, page, runbooks), encoding="utf-8")


if __name__ == "__main__":
    main()
