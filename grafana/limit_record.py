"""Limit detail, further down: how good its forecasts were, tokens and cache, and what happened outside the rules."""

from typing import Any

from grafana.looks import (
    HIT,
    KINDS,
    NO_SAMPLES,
    PLAIN,
    by_name,
    dashed,
    fixed,
    look,
    renamed,
)
from grafana.panels import (
    series,
    target,
)
from grafana.queries import (
    ONE,
    ZERO,
    alive,
    each,
    grown,
    one,
)

HORIZONS = {
    "over_75": ("dark-purple", "over 75 % to come"),
    "over_50": ("purple", "50 to 75 %"),
    "over_25": ("blue", "25 to 50 %"),
    "over_10": ("light-blue", "10 to 25 %"),
    "over_0": ("green", "under 10 %"),
}


def believed() -> list[Any]:
    by_horizon = "max by (limit, horizon) ({}{{{}}})"
    return [
        series(
            "Coverage of the 80 % intervals",
            "How many of the last 30 judged intervals held the true value. Close to 80 % is right; between the dashed "
            "lines is chance.",
            8,
            [target(one("quota_forecast_coverage_ratio"), "held")],
            look(
                "percentunit",
                ((None, "red"), (0.65, "green"), (0.92, "orange")),
                min_val=0,
                max_val=1,
                empty="no forecast was judged yet",
            ),
            overrides=[by_name("held", color=fixed("blue"))],
            marks=True,
        ),
        series(
            "Error of past forecasts",
            "Relative error of the expected value, by the share of the window that was still to come. Errors shrink "
            "towards the reset.",
            8,
            [target(by_horizon.format("quota_forecast_error_ratio", ONE), "{{horizon}}")],
            look("percentunit", PLAIN, min_val=0, empty="no forecast was judged yet"),
            overrides=renamed(HORIZONS),
        ),
        series(
            "Brier score of the chance to run out",
            "Mean squared error of the stated chance: 0 is perfect, 0.25 is a coin.",
            8,
            [target(by_horizon.format("quota_forecast_brier_ratio", ONE), "{{horizon}}")],
            look(
                "none",
                ((None, "green"), (0.25, "red")),
                decimals=2,
                min_val=0,
                max_val=0.5,
                empty="no forecast was judged yet",
            ),
            overrides=renamed(HORIZONS),
            marks=True,
        ),
    ]


def tokens() -> list[Any]:
    kinds = f"60 * {grown('quota_consumed_tokens_total', 'limit, kind', ONE)}"
    hits = f"max by (limit, lookback) (quota_cache_hit_ratio{{{ONE}}})"
    return [
        series(
            "Tokens per minute, by kind",
            "Cached tokens count against subscriptions too. Usage that came over an hour late is left out.",
            8,
            [target(kinds, "{{kind}}")],
            look("short", PLAIN, min_val=0, empty=f"{NO_SAMPLES}, or nothing was used"),
            overrides=renamed(KINDS),
            stacked=True,
            fill=40,
        ),
        series(
            "Dollars per hour, by model",
            "At list prices. Usage that came over an hour late is left out.",
            8,
            [target(f"3600 * {grown('quota_consumed_usd_total', 'model', ONE)}", "{{model}}")],
            look("currencyUSD", PLAIN, min_val=0, empty=f"{NO_SAMPLES}, or nothing was used"),
            stacked=True,
            fill=40,
        ),
        series(
            "Cache hit rate",
            "Share of the input that was read from the cache, over the last day and week, and its usual value: the "
            "median of the 14 days before.",
            8,
            [target(hits, "last {{lookback}}"), target(one("quota_cache_hit_baseline_ratio"), "usual")],
            look("percentunit", HIT, max_val=1, empty="no input in a week"),
            soft_min=0.6,
            marks=True,
            overrides=[
                by_name("last 1d", color=fixed("blue")),
                by_name("last 7d", color=fixed("light-blue")),
                by_name("usual", **dashed("text")),
            ],
        ),
    ]


def outside() -> list[Any]:
    beyond = (
        ("quota_overrun_tokens_total", "beyond reservations"),
        ("quota_unleased_tokens_total", "without a lease"),
    )
    held, under = (f"sum({each(m, ONE)})" for m in ("quota_tickets_held", "quota_tickets_waiting"))
    return [
        series(
            "Tickets that wait",
            "Those that this limit does not let start now, and all that fall under it, whatever holds them.",
            6,
            [target(f"{held} or {ZERO}", "held by this limit"), target(under, "under this limit")],
            look("none", PLAIN, decimals=0, min_val=0, empty=NO_SAMPLES),
            overrides=[
                by_name("held by this limit", color=fixed("orange"), custom__fillOpacity=30),
                by_name("under this limit", **dashed("text")),
            ],
        ),
        series(
            "Running leases",
            "Leases that run now, and how many may: a limit on leases alone has such a number.",
            6,
            [target(one("quota_leases_active"), "running"), target(one("quota_leases_limit"), "at most")],
            look("none", PLAIN, decimals=0, min_val=0, empty=NO_SAMPLES),
            overrides=[by_name("running", color=fixed("blue")), by_name("at most", **dashed("red"))],
        ),
        series(
            "Tokens per minute outside the rules",
            "What no decision could prevent: used beyond what a lease had reserved, or without any lease. Means of "
            "5 minutes, since these figures move once a minute.",
            6,
            [target(f"60 * {alive(grown(metric, 'limit', ONE, '5m'))}", name) for metric, name in beyond],
            look("short", PLAIN, min_val=0, empty="not a limit in tokens"),
            overrides=[
                by_name("beyond reservations", color=fixed("orange")),
                by_name("without a lease", color=fixed("purple")),
            ],
        ),
        series(
            "Bound on overshoot",
            "The most by which running leases can take the limit past its amount: what they used beyond their "
            "reservations.",
            6,
            [target(one("quota_overshoot_bound_tokens"), "tokens")],
            look("short", ((None, "green"), (1, "orange")), min_val=0, empty="not a limit in tokens"),
            overrides=[by_name("tokens", color=fixed("orange"))],
        ),
    ]
