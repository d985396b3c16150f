"""Reading the committed dashboards: panels, what they ask, and the choices on top of them."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from grafana.build import HERE

JSON = dict[str, Any]


@cache
def load(uid: str) -> JSON:
    """One dashboard."""
    found: JSON = json.loads((HERE / "dashboards" / f"{uid}.json").read_text(encoding="utf-8"))
    return found


def charts(dashboard: JSON) -> list[JSON]:
    """The panels, without the headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def asked(dashboard: JSON) -> Iterator[tuple[str, str]]:
    """Every query with the title and letter of its panel, or the name of its mark."""
    for panel in charts(dashboard):
        yield from ((f"{panel['title']} {target['refId']}", target["expr"]) for target in panel["targets"])
    yield from ((mark["name"], mark["expr"]) for mark in dashboard["annotations"]["list"])


def variables(dashboard: JSON) -> Iterator[tuple[str, str, str]]:
    """The name, series and label of every choice among label values."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]["query"]
            assert query == variable["definition"]
            selector, label = query.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            yield variable["name"], selector, label


def filled_in(expr: str, *, interval: str = "10s", limit: str = "team-daily/growth") -> str:
    """What Grafana puts in for variables when everything is chosen, or that one limit."""
    for name in ("$job", "$instance", "$limits", "$workflow"):
        expr = expr.replace(name, ".+")
    return expr.replace('"$limit"', f'"{limit}"').replace("$__rate_interval", interval).replace("$__range", "1h")


def drawn(panel: JSON, number: float | None) -> tuple[str, str]:
    """The text and colour of a number as Grafana would draw it, or of nothing: mappings first, then thresholds."""
    defaults = panel["fieldConfig"]["defaults"]
    for mapping in defaults["mappings"]:
        if mapping["type"] == "value" and number is not None and f"{number:g}" in mapping["options"]:
            found = mapping["options"][f"{number:g}"]
            return found["text"], found["color"]
        if mapping["type"] == "special" and mapping["options"]["match"] == "null" and number is None:
            found = mapping["options"]["result"]
            return found["text"], found["color"]
    steps = defaults["thresholds"]["steps"]
    passed = [s["color"] for s in steps if s["value"] is None or (number is not None and number >= s["value"])]
    return defaults["noValue"] if number is None else f"{number:g}", passed[-1]
