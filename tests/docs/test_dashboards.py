"""Dashboards are what their script builds, ask only for metrics that exist, and keep the rules of good dashboards."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from grafana.build import DASHBOARDS, HERE, render
from quota_scheduler.metrics.table import FAMILIES

JSON = dict[str, Any]
SUFFIXES = ("", "_bucket", "_sum", "_count")
KNOWN = {f.name + suffix for f in FAMILIES for suffix in (SUFFIXES if f.kind == "histogram" else ("",))}
UNITS = {"percentunit", "none", "short", "s", "dateTimeFromNow"}
WITH_THRESHOLDS = {"quota_usage_ratio", "quota_forecast_usage_ratio", "quota_remaining_burn_ratio"}


def load(name: str) -> JSON:
    found: JSON = json.loads((HERE / "dashboards" / name).read_text(encoding="utf-8"))
    return found


def charts(dashboard: JSON) -> list[JSON]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(dashboard: JSON) -> Iterator[str]:
    """Everything that Prometheus is asked."""
    for panel in charts(dashboard):
        yield from (target["expr"] for target in panel["targets"])
    yield from (mark["expr"] for mark in dashboard["annotations"]["list"])
    yield from (v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query")


def test_the_folder_holds_what_the_script_builds_and_nothing_else() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in (HERE / "dashboards").glob("*.json")}
    assert committed == {name: render(build()) for name, build in DASHBOARDS.items()}, "run python -m grafana.build"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_metric_asked_for_exists(name: str) -> None:
    asked = {metric for expr in expressions(load(name)) for metric in re.findall(r"\bquota_\w+", expr)}
    assert asked - KNOWN == set()


@pytest.mark.parametrize("name", DASHBOARDS)
def test_model(name: str) -> None:
    dashboard = load(name)
    assert (dashboard["schemaVersion"], dashboard["id"], dashboard["editable"]) == (42, None, False)
    assert dashboard["uid"] == name.removesuffix(".json")
    assert len(dashboard["uid"]) <= 40
    assert dashboard["tags"] == ["quota-scheduler"]
    assert dashboard["refresh"]
    assert set(dashboard["time"]) == {"from", "to"}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_variables(name: str) -> None:
    source, *others = load(name)["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert [v["name"] for v in others][:2] == ["job", "instance"]
    for variable in others:
        assert variable["datasource"]["uid"] == "${datasource}"
        chosen = {key: variable[key] for key in ("type", "multi", "includeAll", "allValue", "refresh")}
        assert chosen == {"type": "query", "multi": True, "includeAll": True, "allValue": ".+", "refresh": 2}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels(name: str) -> None:
    dashboard = load(name)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    for panel in charts(dashboard):
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS
        assert "mappings" in defaults or defaults["unit"] != "none" or "decimals" in defaults
        refs = [target["refId"] for target in panel["targets"]]
        assert refs
        assert all(refs)
        assert len(refs) == len(set(refs))
        if any(metric in target["expr"] for metric in WITH_THRESHOLDS for target in panel["targets"]):
            assert len(defaults["thresholds"]["steps"]) > 1


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_do_not_overlap_and_fill_the_width(name: str) -> None:
    cells: dict[tuple[int, int], int] = {}
    for panel in load(name)["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert cells.setdefault((x, y), panel["id"]) == panel["id"]
    assert {x for x, _ in cells} == set(range(24))
    assert len(cells) == 24 * (1 + max(y for _, y in cells))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_queries(name: str) -> None:
    dashboard = load(name)
    asked = [target["expr"] for panel in charts(dashboard) for target in panel["targets"]]
    for expr in [*asked, *(mark["expr"] for mark in dashboard["annotations"]["list"])]:
        for selector in re.findall(r"\bquota_\w+(\{[^}]*\})?", expr):
            assert 'job=~"$job"' in selector
            assert 'instance=~"$instance"' in selector
        assert len(re.findall(r"_total\b", expr)) == len(re.findall(r"\b(?:i?rate|increase)\(quota_\w+_total\b", expr))
    assert [r for expr in asked for r in re.findall(r"\[([^\]]+)\]", expr) if r != "$__rate_interval"] == []


@pytest.mark.parametrize("name", DASHBOARDS)
def test_snapshot_metrics_are_never_added_up_over_replicas(name: str) -> None:
    snapshot = {family.name for family in FAMILIES if not family.live}
    for expr in expressions(load(name)):
        for function, metric in re.findall(r"(\w+)(?: (?:by|without) \([^)]*\))? ?\((quota_\w+)", expr):
            assert metric not in snapshot or function in {"max", "min", "rate", "changes", "label_values"}, expr
