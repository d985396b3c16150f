"""Limit detail: what the provider says of a limit, beside what was added to it here."""

from typing import Any

from grafana.looks import NO_SAMPLES, PLAIN, USED, by_name, dashed, fixed, look, renamed, steps_of
from grafana.panels import number, series, target
from grafana.queries import NONE, ONE, numbered, one, otherwise

FRESHNESS = ("live", "green"), ("cached", "green"), ("stale", "orange"), ("unavailable", "red")
NOT_OBSERVED = {NONE: ("no provider reports on it", "text")}
RATES = {
    "low": ("light-blue", "at least"),
    "expected": ("blue", "expected"),
    "high": ("dark-blue", "at most"),
}
NO_REPORTS = "no provider reports on it, or nothing was said of this window yet"


def observed() -> list[Any]:
    """How fresh the provider's word is, what it says, and what a percent point costs."""
    age = f"time() - {one('quota_observed_timestamp_seconds')}"
    return [
        number(
            "How fresh it is",
            "Live: at most 5 minutes old. Cached: at most 30, or an echo. Stale: older, and an estimate. Unavailable: "
            "nothing was said of the window of now.",
            otherwise(numbered("quota_observed_state", "state", FRESHNESS, ONE)),
            look("none", steps_of(FRESHNESS), values=FRESHNESS, words=NOT_OBSERVED),
            width=6,
        ),
        number(
            "Reported",
            "What the provider last said is used of the window of now.",
            otherwise(one("quota_observed_ratio")),
            look("percentunit", USED, decimals=0, words=NOT_OBSERVED),
            width=6,
        ),
        number(
            "Its age",
            "How long ago that was true.",
            otherwise(age),
            look("s", ((None, "green"), (1800, "orange"), (7200, "red")), decimals=0, words=NOT_OBSERVED),
            width=6,
        ),
        number(
            "Used elsewhere",
            "The share of this window that nobody here used: a browser, another machine, another tool.",
            otherwise(one("quota_observed_elsewhere_ratio")),
            look("percentunit", ((None, "green"), (0.03, "orange")), decimals=0, words=NOT_OBSERVED),
            width=6,
        ),
        series(
            "Reported and extrapolated",
            "What the provider said, and with what was used here since. Where the two part for long, look at the age.",
            12,
            [target(one("quota_observed_ratio"), "reported"), target(one("quota_usage_ratio"), "as best known")],
            look("percentunit", USED, min_val=0, empty=NO_REPORTS),
            overrides=[by_name("reported", **dashed("text")), by_name("as best known", color=fixed("blue"))],
            marks=True,
        ),
        series(
            "Percent points a dollar takes",
            "Learned from past windows, with the 80 % interval. A step says that the provider allows more or less; "
            "leases reserve at the upper line.",
            12,
            [target(f"max by (limit, estimate) (quota_observed_points_per_usd{{{ONE}}})", "{{estimate}}")],
            look("none", PLAIN, decimals=2, min_val=0, empty=f"{NO_SAMPLES}, or no rate was learned yet"),
            overrides=renamed(RATES),
            marks=True,
        ),
    ]
