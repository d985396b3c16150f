"""Dashboards are what their script builds, ask only for metrics that exist, and keep the rules of good dashboards."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.build import HERE, PAGES, TAG, render
from grafana.limit import LOOKBACKS
from grafana.limit_record import HORIZONS
from grafana.looks import KINDS as KINDS_OF_TOKENS
from grafana.queue import REASONS
from quota_scheduler.metrics.table import BY_NAME, FAMILIES
from tests.docs.dashboards import asked, charts, filled_in, load, variables

ROOT = Path(__file__).parents[2]
SUFFIXES = ("", "_bucket", "_sum", "_count")
KNOWN = {f.name + suffix for f in FAMILIES for suffix in (SUFFIXES if f.kind == "histogram" else ("",))}
CLIENT = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"}
"""Metrics of the Prometheus client itself that are asked for."""
UNITS = {"percentunit", "none", "short", "s", "dateTimeFromNow", "currencyUSD", "bytes"}
KINDS = {"stat", "table", "timeseries", "bargauge", "state-timeline"}
NARROWEST = {"stat": 3, "table": 8, "timeseries": 6, "bargauge": 8, "state-timeline": 8}
WITH_MARKS = {"quota_usage_ratio", "quota_forecast_usage_ratio", "quota_remaining_burn_ratio", "quota_cache_hit_ratio"}
"""What is held against a mark: the panel's colours change there."""
SPANS = {
    "1h": ("hour",),
    "1d": ("24 h",),
    "5m": ("5 minutes",),
    "$__rate_interval": ("",),
    "$__range] @ end()": ("",),
}
NAMED = {"kind": KINDS_OF_TOKENS, "lookback": LOOKBACKS, "horizon": HORIZONS, "reason": REASONS}
"""Labels whose values have names for people."""
every_dashboard = pytest.mark.parametrize("uid", PAGES)


def parsed(expr: str) -> promql.Expr:
    return promql.parse(filled_in(expr))


def parts(expr: Any) -> Iterator[Any]:
    """Every node of a query."""
    yield expr
    for name in ("expr", "lhs", "rhs", "param"):
        inner = getattr(expr, name, None)
        if isinstance(inner, promql.Expr):
            yield from parts(inner)
    for argument in getattr(expr, "args", ()):
        yield from parts(argument)


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:quota|process)_[a-z_]+(?=\{)", text))


def held(metric: str) -> str:
    """The name that a series is exported under in the table of metrics."""
    return next((metric.removesuffix(suffix) for suffix in SUFFIXES if metric.removesuffix(suffix) in BY_NAME), metric)


def test_the_folder_holds_what_the_script_builds_and_nothing_else() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in (HERE / "dashboards").glob("*.json")}
    assert committed == {f"{uid}.json": render(uid, page) for uid, page in PAGES.items()}, "run python -m grafana.build"


@every_dashboard
def test_reading_a_file_and_writing_it_again_loses_nothing(uid: str) -> None:
    """The SDK drops keys that it does not know: what is the same afterwards has no misspelt key."""
    register_default_plugins()
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(load(uid))))
    for each in (*again["links"], *again["annotations"]["list"]):
        del each["placement"]  # which the SDK adds
    for panel in again["panels"]:
        panel.get("options", {}).pop("footer", None)  # likewise
    assert {"id": None} | again == load(uid)


@every_dashboard
def test_model(uid: str) -> None:
    dashboard = load(uid)
    assert (dashboard["schemaVersion"], dashboard["id"], dashboard["editable"]) == (42, None, False)
    assert dashboard["uid"] == uid
    assert re.fullmatch(r"[a-z-]{1,40}", uid)
    assert (dashboard["tags"], dashboard["refresh"], dashboard["time"]["to"]) == ([TAG], "30s", "now")
    assert re.fullmatch(r"now-\d+[hd]", dashboard["time"]["from"])
    assert dashboard["title"].startswith("Quota ")
    assert dashboard["description"].endswith(".")


def test_titles_are_told_apart() -> None:
    titles = [page.title for page in PAGES.values()]
    assert len(titles) == len(set(titles)) == 5


@every_dashboard
def test_variables(uid: str) -> None:
    source, *others = load(uid)["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert [v["name"] for v in others][:2] == ["job", "instance"]
    for variable in others:
        assert variable["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        several = (uid, variable["name"]) != ("quota-limit", "limit")
        chosen = {key: variable.get(key) for key in ("type", "multi", "includeAll", "allValue", "refresh")}
        assert chosen == {
            "type": "query",
            "multi": several,
            "includeAll": several,
            "allValue": ".+" if several else None,
            "refresh": 2,
        }
        assert variable["current"] == ({"text": ["All"], "value": ["$__all"]} if several else {"text": "", "value": ""})
    for name, selector, label in variables(load(uid)):
        assert label == ("limit" if name == "limits" else name)
        assert name == "job" or 'job=~"$job"' in selector
        assert name in ("job", "instance") or 'instance=~"$instance"' in selector
    known = {variable["name"] for variable in others} | {"__rate_interval", "__range"}
    assert {name for _, expr in asked(load(uid)) for name in re.findall(r"\$(\w+)", expr)} <= known


@every_dashboard
def test_panels(uid: str) -> None:
    dashboard = load(uid)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert ids == list(range(1, len(ids) + 1))
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(titles) == len(set(titles))
    for panel in charts(dashboard):
        assert panel["type"] in KINDS
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS
        assert defaults["mappings"] or defaults["unit"] != "none" or "decimals" in defaults
        assert defaults["noValue"], f"{panel['title']} says nothing when there is nothing"
        assert panel["targets"]
        assert [t["refId"] for t in panel["targets"]] == [chr(ord("A") + n) for n in range(len(panel["targets"]))]
        assert all(t["datasource"] == panel["datasource"] for t in panel["targets"])
        shown = {metric for t in panel["targets"] for metric in metrics_in(t["expr"].partition(" topk(")[0])}
        if panel["type"] not in ("table", "state-timeline") and shown & WITH_MARKS:
            assert len(defaults["thresholds"]["steps"]) > 1, panel["title"]
        if panel["type"] == "timeseries":
            assert all("{{" in t["legendFormat"] or t["legendFormat"] != "__auto" for t in panel["targets"])


@every_dashboard
def test_overrides_name_what_is_there(uid: str) -> None:
    """A look that is meant for a column or a line finds it."""
    for panel in charts(load(uid)):
        names = {t["legendFormat"] for t in panel["targets"]} | {"low", "expected", "high"}
        names |= {value for label, values in NAMED.items() if f"{{{{{label}}}}}" in names for value in values}
        for step in panel.get("transformations", ()):
            names |= set(step["options"].get("renameByName", {}).values())
        for override in panel["fieldConfig"]["overrides"]:
            matcher = override["matcher"]
            ids = [each["id"] for each in override["properties"]]
            assert len(ids) == len(set(ids))
            filled = {re.sub(r"\{\{lookback\}\}", span, name) for name in names for span in ("1d", "7d")}
            assert matcher["id"] == "byRegexp" or matcher["options"] in filled, (panel["title"], matcher)


@every_dashboard
def test_panels_do_not_overlap_fill_the_width_and_are_wide_enough(uid: str) -> None:
    cells: dict[tuple[int, int], int] = {}
    for panel in load(uid)["panels"]:
        place = panel["gridPos"]
        assert place["w"] >= NARROWEST.get(panel["type"], 24)
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert cells.setdefault((x, y), panel["id"]) == panel["id"]
    assert {x for x, _ in cells} == set(range(24))
    assert len(cells) == 24 * (1 + max(y for _, y in cells))


@every_dashboard
def test_every_selector_narrows_by_job_and_replica(uid: str) -> None:
    for title, expr in asked(load(uid)):
        selectors = [p for p in parts(parsed(expr)) if isinstance(p, promql.VectorSelector | promql.MatrixSelector)]
        assert selectors
        for part in selectors:
            selector = part.vector_selector if isinstance(part, promql.MatrixSelector) else part
            names = {matcher.name for matcher in selector.matchers.matchers}
            assert {"job", "instance"} <= names, (title, selector.name)


@every_dashboard
def test_counters_are_asked_for_their_growth(uid: str) -> None:
    for title, expr in asked(load(uid)):
        for part in parts(parsed(expr)):
            if isinstance(part, promql.VectorSelector):
                assert not re.search(r"_(total|bucket|count|sum)$", part.name or ""), (title, part.name)
            if isinstance(part, promql.Call) and part.func.name in ("rate", "irate", "increase"):
                assert re.search(r"_(total|bucket|count|sum)$", part.args[0].vector_selector.name), title


@every_dashboard
def test_ranges_fit_the_scrape_interval_unless_a_fixed_one_is_the_point(uid: str) -> None:
    """Spans of an hour and a day are named in the panel's title, text or axis; marks look a minute back."""
    for panel in charts(load(uid)):
        said = json.dumps([panel["title"], panel["description"], panel["fieldConfig"]["defaults"].get("custom")])
        for span in (s for t in panel["targets"] for s in re.findall(r"\[(\$__range\] @ end\(\)|[^\]]+)", t["expr"])):
            words = {
                "1h": ("hour",),
                "1d": ("24 h",),
                "5m": ("5 minutes",),
                "$__rate_interval": ("",),
                "$__range] @ end()": ("",),
            }[span]
            assert any(word in said for word in words), (panel["title"], span)


@every_dashboard
def test_snapshot_metrics_are_never_added_up_over_replicas(uid: str) -> None:
    """The first aggregation over them is a maximum or a minimum: each replica exports the same."""
    for title, expr in asked(load(uid)):
        for aggregation in (p for p in parts(parsed(expr)) if isinstance(p, promql.AggregateExpr)):
            inner = list(parts(aggregation.expr))
            if str(aggregation.op) in ("max", "min", "topk", "bottomk"):
                continue
            below = [p for p in inner if isinstance(p, promql.AggregateExpr)]
            covered = {id(q) for p in below for q in parts(p.expr)}
            for part in inner:
                name = getattr(part, "name", None) or getattr(getattr(part, "vector_selector", None), "name", None)
                family = BY_NAME.get(held(name)) if isinstance(name, str) else None
                assert family is None or family.live or below or id(part) in covered, (title, name)


def test_every_metric_asked_for_exists() -> None:
    found = {metric for uid in PAGES for _, expr in asked(load(uid)) for metric in metrics_in(expr)}
    assert found - KNOWN == CLIENT


def test_every_metric_is_on_a_dashboard_or_in_a_rule_or_documented_for_questions_of_the_moment() -> None:
    shown = {held(metric) for uid in PAGES for _, expr in asked(load(uid)) for metric in metrics_in(expr)}
    rules = (ROOT / "alerts" / "prometheus-rules.yml").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    ad_hoc = page.split("\n## For questions of the moment\n")[1:] or [""]
    named = {held(name) for name in re.findall(r"\bquota_[a-z_]+", rules + ad_hoc[0].split("\n## ")[0])}
    assert {family.name for family in FAMILIES} - shown - named == set()


@every_dashboard
def test_resets_and_alerts_are_marked_and_links_lead_on(uid: str) -> None:
    dashboard = load(uid)
    marks = {mark["name"]: mark for mark in dashboard["annotations"]["list"]}
    assert set(marks) == {"Window reset", "Alert firing"}
    assert all(mark["enable"] and mark["datasource"]["uid"] == "${datasource}" for mark in marks.values())
    (others,) = dashboard["links"]
    assert (others["type"], others["tags"], others["keepTime"], others["includeVars"]) == (
        "dashboards",
        [TAG],
        True,
        True,
    )
    address = "https://wiki.example.com/quota"
    *_, runbooks = json.loads(render(uid, PAGES[uid], address))["links"]
    assert (runbooks["type"], runbooks["url"]) == ("link", address)
    for panel in charts(dashboard):
        for url in re.findall(r'"/d/([\w-]+)', json.dumps(panel)):
            assert url in PAGES


def test_the_provisioned_data_source_keeps_its_uid() -> None:
    """The rest of provisioning is held to the compose file in tests/shell/test_packaging.py."""
    (sources,) = (HERE / "provisioning" / "datasources").glob("*.yaml")
    (source,) = yaml.safe_load(sources.read_text(encoding="utf-8"))["datasources"]
    assert (source["uid"], source["type"], source["editable"]) == ("quota-prometheus", "prometheus", False)
