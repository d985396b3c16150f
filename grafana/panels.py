"""The parts that dashboards are made of: queries, looks, panels, variables, as plain values of the classic JSON model.

Snapshot metrics are the same on every replica, hence ``max without (instance)``; live ones are summed.
"""

from typing import Any

JSON = dict[str, Any]
DATASOURCE: JSON = {"type": "prometheus", "uid": "${datasource}"}
FLEET = 'job=~"$job",instance=~"$instance"'
LIMITS = f'{FLEET},limit=~"$limit"'
EXPECTED = ',estimate="expected"'
NOTHING = f"0 * max(quota_scheduler_snapshot_timestamp_seconds{{{FLEET}}})"
"""Zero while the service is there: a dead one must not look like an all-clear."""

USAGE_STEPS = ((None, "green"), (0.8, "orange"), (0.95, "red"))
FORECAST_STEPS = ((None, "green"), (0.85, "orange"), (1.0, "red"))
ANY_STEPS = ((None, "green"), (1, "red"))
PLAIN = ((None, "blue"),)
STATES = ("open", "green"), ("throttled", "yellow"), ("paused", "orange"), ("exhausted", "red")
LEVELS = ("minimal", "green"), ("balanced", "yellow"), ("aggressive", "orange"), ("emergency", "red")


def each(metric: str, matchers: str = LIMITS) -> str:
    """One series per label set of a snapshot metric, whatever the number of replicas."""
    return f"max without (instance) ({metric}{{{matchers}}})"


def by_limit(metric: str, extra: str = "") -> str:
    """One series per limit."""
    return f"max by (limit) ({metric}{{{LIMITS}{extra}}})"


def numbered(metric: str, label: str, values: tuple[tuple[str, str], ...]) -> str:
    """Which of several values a limit is at, as a number: 0 for the first."""
    parts = (f'{n} * max by (limit, {label}) ({metric}{{{LIMITS},{label}="{v}"}})' for n, (v, _) in enumerate(values))
    return f"sum by (limit) ({' or '.join(parts)})"


def target(expr: str, legend: str = "", *, ref: str = "A", table: bool = False, instant: bool = False) -> JSON:
    """One query."""
    kind = {"instant": True, "range": False} if table or instant else {"instant": False, "range": True}
    form = "table" if table else "time_series"
    found = {"datasource": DATASOURCE, "editorMode": "code", "expr": expr, "format": form, "refId": ref} | kind
    return found | {"legendFormat": legend or "__auto"}


def thresholds(steps: tuple[tuple[float | None, str], ...]) -> JSON:
    """Colours from a value on."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


def mapping(values: tuple[tuple[str, str], ...]) -> list[JSON]:
    """Names and colours for the numbers of ``numbered``."""
    options = {str(n): {"color": color, "index": n, "text": text} for n, (text, color) in enumerate(values)}
    return [{"type": "value", "options": options}]


def field(unit: str = "short", steps: tuple[tuple[float | None, str], ...] = PLAIN, **more: Any) -> JSON:
    """How a panel's values look."""
    return {"unit": unit, "thresholds": thresholds(steps), "color": {"mode": "thresholds"}} | more


def panel(
    kind: str, title: str, text: str, size: tuple[int, int], targets: list[JSON], defaults: JSON, **more: Any
) -> JSON:
    """One panel; its place and id follow from the order."""
    return {
        "type": kind,
        "title": title,
        "description": text,
        "datasource": DATASOURCE,
        "gridPos": {"w": size[0], "h": size[1]},
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        "options": more.pop("options", {}),
        **more,
    }


def stat(title: str, text: str, expr: str, defaults: JSON) -> JSON:
    """One number."""
    options: JSON = {"colorMode": "value", "graphMode": "none", "justifyMode": "center", "textMode": "value"}
    options |= {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return panel("stat", title, text, (3, 4), [target(expr, instant=True)], defaults, options=options)


def series(title: str, text: str, width: int, targets: list[JSON], defaults: JSON, *, height: int = 9) -> JSON:
    """Lines over time."""
    lines = {"drawStyle": "line", "lineWidth": 2, "fillOpacity": 0, "showPoints": "never", "spanNulls": False}
    defaults = defaults | {"color": {"mode": "palette-classic"}, "custom": lines | defaults.get("custom", {})}
    options = {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull"]}}
    options |= {"tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, text, (width, height), targets, defaults, options=options)


def timeline(title: str, text: str, width: int, height: int, expr: str, values: tuple[tuple[str, str], ...]) -> JSON:
    """States over time, one row per limit."""
    options = {"mergeValues": True, "rowHeight": 0.8, "showValue": "auto", "legend": {"showLegend": False}}
    defaults = field("none", steps_of(values), mappings=mapping(values), custom={"fillOpacity": 80, "lineWidth": 0})
    return panel("state-timeline", title, text, (width, height), [target(expr, "{{limit}}")], defaults, options=options)


def row(title: str) -> JSON:
    """A heading."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def column(name: str, **properties: Any) -> JSON:
    """How one column of a table looks."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()],
    }


def steps_of(values: tuple[tuple[str, str], ...]) -> tuple[tuple[float | None, str], ...]:
    return tuple((n or None, color) for n, (_, color) in enumerate(values))


def placed(panels: list[JSON]) -> list[JSON]:
    """Give panels their ids and places: from left to right, a new line where the last one is full."""
    x = y = height = 0
    for number, one in enumerate(panels, 1):
        place = one["gridPos"]
        if x + place["w"] > 24:
            x, y, height = 0, y + height, 0
        one["id"], one["gridPos"] = number, place | {"x": x, "y": y}
        x, height = x + place["w"], max(height, place["h"])
    return panels


def variable(name: str, label: str, query: str) -> JSON:
    """A choice among label values."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"Variable-{name}"},
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "options": [],
        "regex": "",
    }


def annotation(name: str, color: str, expr: str, title: str) -> JSON:
    """Marks on every panel over time."""
    look = {"name": name, "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": color}
    return look | {"expr": expr, "titleFormat": title, "textFormat": name, "step": "60s", "useValueForTime": False}
