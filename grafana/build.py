"""Build the dashboards: plain values in, classic dashboard JSON (schema version 42) out.

python -m grafana.build          writes grafana/dashboards/*.json; a test fails when they differ from this file
"""

import json
from pathlib import Path

from grafana.panels import (
    ANY_STEPS,
    EXPECTED,
    FLEET,
    FORECAST_STEPS,
    JSON,
    LEVELS,
    LIMITS,
    NOTHING,
    STATES,
    USAGE_STEPS,
    annotation,
    by_limit,
    column,
    each,
    field,
    mapping,
    numbered,
    panel,
    placed,
    row,
    series,
    stat,
    steps_of,
    target,
    thresholds,
    timeline,
    variable,
)

HERE = Path(__file__).parent


def limits_table() -> JSON:
    """Every limit in one line, the fullest first."""
    share: JSON = {"unit": "percentunit", "decimals": 0, "min": 0, "max": 1, "custom__width": 150}
    gauge = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
    text = {"type": "color-text"}
    states = {"mappings": mapping(STATES), "custom__cellOptions": text, "thresholds": thresholds(steps_of(STATES))}
    levels = {"mappings": mapping(LEVELS), "custom__cellOptions": text, "thresholds": thresholds(steps_of(LEVELS))}
    columns: list[tuple[str, str, JSON]] = [
        (
            "Used",
            by_limit("quota_usage_ratio"),
            {**share, "thresholds": thresholds(USAGE_STEPS), "custom__cellOptions": gauge},
        ),
        ("Used and reserved", by_limit("quota_committed_ratio"), share),
        (
            "Forecast at the reset",
            by_limit("quota_forecast_usage_ratio", EXPECTED),
            {**share, "thresholds": thresholds(FORECAST_STEPS), "custom__cellOptions": text},
        ),
        ("Chance to pass it", by_limit("quota_forecast_exceed_probability_ratio"), share),
        (
            "Runs out",
            f"1000 * {by_limit('quota_forecast_exhaustion_timestamp_seconds')}",
            {"unit": "dateTimeFromNow", "noValue": "not before the reset"},
        ),
        ("Reset", f"1000 * {by_limit('quota_window_end_timestamp_seconds')}", {"unit": "dateTimeFromNow"}),
        ("State", numbered("quota_state", "state", STATES), states),
        ("Asked of runners", numbered("quota_optimization_level", "level", LEVELS), levels),
    ]
    refs = [chr(ord("A") + n) for n in range(len(columns))]
    names = {f"Value #{ref}": name for ref, (name, _, _) in zip(refs, columns, strict=True)} | {"limit": "Limit"}
    order = {"limit": 0} | {f"Value #{ref}": n for n, ref in enumerate(refs, 1)}
    return panel(
        "table",
        "Limits",
        "Every limit of the fleet, the fullest first. The forecast is the expected usage at the reset as a share of "
        "the limit; it runs out where that passes 100 %.",
        (24, 9),
        [target(expr, ref=ref, table=True) for ref, (_, expr, _) in zip(refs, columns, strict=True)],
        field("short", USAGE_STEPS, custom={"align": "auto", "filterable": True}),
        overrides=[column(name, **look) for name, _, look in columns],
        options={"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": "Used", "desc": True}]},
        transformations=[
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {"excludeByName": {"Time": True}, "renameByName": names, "indexByName": order},
            },
        ],
    )


def fleet_now() -> list[JSON]:
    """Six numbers and the table."""
    stopped = each("quota_state", LIMITS + ',state=~"paused|exhausted"')
    expected = by_limit("quota_forecast_usage_ratio", EXPECTED)
    reset = by_limit("quota_window_end_timestamp_seconds")
    share = field("percentunit", USAGE_STEPS, decimals=0)
    count = field("none", ANY_STEPS, decimals=0)
    return [
        stat("Fullest limit", "Highest usage of any limit.", f"max({by_limit('quota_usage_ratio')})", share),
        stat("Stopped limits", "Limits that are paused or exhausted.", f"sum({stopped})", count),
        stat(
            "Forecast over",
            "Limits expected to pass 100 % before their reset.",
            f"sum({expected} > bool 1) or {NOTHING}",
            count,
        ),
        stat(
            "Next reset",
            "The first window to end.",
            f"1000 * min({reset} > time())",
            field("dateTimeFromNow"),
        ),
        stat(
            "Tickets waiting",
            "Waiting in the throttle queue, at the limit where most wait.",
            f"max(sum by (limit) ({each('quota_tickets_waiting')})) or {NOTHING}",
            field("none", ((None, "green"), (1, "yellow")), decimals=0),
        ),
        stat(
            "Alerts firing",
            "Alerts firing in the service itself.",
            f"sum({each('quota_alerts_firing', FLEET)}) or {NOTHING}",
            count,
        ),
        stat(
            "Usage data",
            "How old the newest usage event is.",
            f"time() - max(quota_last_usage_timestamp_seconds{{{FLEET}}})",
            field("s", decimals=0),
        ),
        stat(
            "Snapshot",
            "How old everything on this page is, except decisions. Old means that the service or its database is down.",
            f"time() - max(quota_scheduler_snapshot_timestamp_seconds{{{FLEET}}})",
            field("s", ((None, "green"), (60, "red")), decimals=0),
        ),
        limits_table(),
    ]


def fleet_over_time() -> list[JSON]:
    """Usage, forecast, level."""
    line = {"thresholdsStyle": {"mode": "dashed"}}
    forecast = [
        target(by_limit("quota_forecast_usage_ratio", f',estimate="{name}"'), f"{{{{limit}}}} {name}", ref=ref)
        for ref, name in zip("ABC", ("low", "expected", "high"), strict=True)
    ]
    return [
        series(
            "Usage",
            "Used share of each limit; falls to zero at a reset. Lines at 80 and 95 %.",
            12,
            [target(by_limit("quota_usage_ratio"), "{{limit}}")],
            field("percentunit", USAGE_STEPS, decimals=0, min=0, custom=line),
        ),
        series(
            "Forecast at the reset",
            "Expected usage at the reset and its 80 % interval, as a share of the limit. Best read for one limit.",
            12,
            forecast,
            field("percentunit", FORECAST_STEPS, decimals=0, min=0, custom=line),
        ),
        timeline(
            "Throttle level",
            "Open: headroom alone decides. Throttled: a class is held back. Paused: automation has spent its "
            "allowance. Exhausted: nothing is left.",
            12,
            8,
            numbered("quota_state", "state", STATES),
            STATES,
        ),
        series(
            "Burn of what is left",
            "Above 1 the limit runs out before its reset at the rate of the slow long lookback.",
            12,
            [target(by_limit("quota_remaining_burn_ratio", ',lookback="slow_long"'), "{{limit}}")],
            field("none", ((None, "green"), (1, "red")), decimals=1, min=0, max=5, custom=line),
            height=8,
        ),
    ]


def queue() -> list[JSON]:
    """Who waits, for how long, and what was decided."""
    waiting = each("quota_tickets_waiting")
    oldest = f"time() - min by (limit) ({each('quota_tickets_oldest_timestamp_seconds')})"
    decisions = f"sum by (decision, reason) (rate(quota_admission_decisions_total{{{LIMITS}}}[$__rate_interval]))"
    bars = {"drawStyle": "bars", "fillOpacity": 70, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}}
    return [
        series(
            "Tickets waiting",
            "By limit and priority class. A ticket that waits for two limits counts in each.",
            8,
            [target(f"{waiting} > 0", "{{limit}} {{class}}")],
            field("none", decimals=0, min=0, noValue="nobody waits"),
        ),
        series(
            "Longest wait",
            "How long the oldest waiting ticket of each limit has waited.",
            8,
            [target(oldest, "{{limit}}")],
            field("s", min=0, noValue="nobody waits"),
        ),
        series(
            "Decisions",
            "Admission decisions per minute, with the reason.",
            8,
            [target(f"60 * {decisions} > 0", "{{decision}}: {{reason}}")],
            field("none", decimals=1, min=0, noValue="nothing was asked", custom=bars),
        ),
    ]


def efficiency() -> list[JSON]:
    """Cache and tokens."""
    rate = f"rate(quota_consumed_tokens_total{{{LIMITS}}}[$__rate_interval])"
    stack = {"fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}, "axisLabel": "tokens per minute"}
    return [
        series(
            "Cache hit rate",
            "Share of the input that was read from the cache, by workflow, and its usual value (the median of the 14 "
            "days before). Below 90 % is worth a look.",
            8,
            [
                target(each("quota_workflow_cache_hit_ratio", FLEET), "{{workflow}}"),
                target(each("quota_workflow_cache_baseline_ratio", FLEET), "{{workflow}} usual", ref="B"),
            ],
            field("percentunit", ((None, "red"), (0.9, "green")), decimals=1, max=1),
        ),
        series(
            "Tokens by kind",
            "Tokens per minute. Cached tokens count against subscriptions too. Best read with one limit chosen: usage "
            "that falls under several is counted in each.",
            8,
            [target(f"60 * sum by (limit, kind) (max without (instance) ({rate}))", "{{limit}} {{kind}}")],
            field("short", min=0, custom=stack),
        ),
        timeline(
            "Asked of runners",
            "The optimization level, by how much headroom is left: over 60 %, over 30 %, over 10 %, or less.",
            8,
            9,
            numbered("quota_optimization_level", "level", LEVELS),
            LEVELS,
        ),
    ]


def variables() -> list[JSON]:
    """Data source, then what narrows every panel."""
    source: JSON = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    source |= {"current": {}, "hide": 0, "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": ""}
    return [
        source,
        variable("job", "Job", "label_values(quota_scheduler_build_info, job)"),
        variable("instance", "Replica", 'label_values(quota_scheduler_build_info{job=~"$job"}, instance)'),
        variable("limit", "Limit", f"label_values(quota_usage_ratio{{{FLEET}}}, limit)"),
    ]


def annotations() -> list[JSON]:
    """Resets, and alerts that fire in the service."""
    resets = f"max by (limit) (changes(quota_window_end_timestamp_seconds{{{LIMITS}}}[1m])) > 0"
    alerts = f"{each('quota_alerts_firing', FLEET)} > 0"
    return [
        annotation("Window reset", "blue", resets, "Reset of {{limit}}"),
        annotation("Alert firing", "red", alerts, "{{alert}} ({{severity}})"),
    ]


def overview() -> JSON:
    """The dashboard 'Quota overview'."""
    link = {"type": "dashboards", "title": "Quota dashboards", "tags": ["quota-scheduler"], "asDropdown": True}
    return {
        "id": None,
        "uid": "quota-overview",
        "title": "Quota overview",
        "description": "What is full, what will be, who waits, and what the tokens bring.",
        "tags": ["quota-scheduler"],
        "schemaVersion": 42,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timepicker": {},
        "timezone": "",
        "fiscalYearStartMonth": 0,
        "links": [link | {"includeVars": True, "keepTime": True, "icon": "external link", "targetBlank": False}],
        "annotations": {"list": annotations()},
        "templating": {"list": variables()},
        "panels": placed(
            [*fleet_now(), *fleet_over_time(), row("Throttle queue"), *queue(), row("Efficiency"), *efficiency()]
        ),
    }


DASHBOARDS = {"quota-overview.json": overview}


def render(dashboard: JSON) -> str:
    """The file's text."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every dashboard."""
    for name, build in DASHBOARDS.items():
        (HERE / "dashboards" / name).write_text(render(build()), encoding="utf-8")


if __name__ == "__main__":
    main()
