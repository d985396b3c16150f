"""Limit detail: one limit, from its usage to how far its forecasts can be believed."""

from typing import Any

from grafana.panels import (
    AT_RESET,
    BURN,
    CHANCE,
    HIT,
    KINDS,
    LEAST_RUNS,
    NO_SAMPLES,
    NOTHING_LEFT,
    PLAIN,
    RUN_SIZE,
    TIME_LEFT,
    USED,
    by_name,
    by_pattern,
    dashed,
    fan,
    fixed,
    look,
    number,
    renamed,
    row,
    series,
    steps_of,
    target,
)
from grafana.queries import (
    EXPECTED,
    FORECAST,
    LASTS,
    NONE,
    ONE,
    RISKS,
    STATES,
    ZERO,
    alive,
    by_limit,
    each,
    grown,
    in_its_unit,
    level,
    numbered,
    otherwise,
    runs_out,
    time_left,
)

LOOKBACKS = {
    "fast_long": ("red", "fast alert, long span"),
    "fast_short": ("light-orange", "fast alert, short span"),
    "slow_long": ("blue", "slow alert, long span"),
    "slow_short": ("light-blue", "slow alert, short span"),
}
UNKNOWN = {NONE: ("not known", "text")}
NO_FORECAST = {NONE: ("no forecast", "text")}
NO_RUNS = {NONE: ("no runs", "text")}
NO_BURN = "no burn rate for this window yet"
HORIZONS = {
    "over_75": ("dark-purple", "over 75 % to come"),
    "over_50": ("purple", "50 to 75 %"),
    "over_25": ("blue", "25 to 50 %"),
    "over_10": ("light-blue", "10 to 25 %"),
    "over_0": ("green", "under 10 %"),
}


def panels() -> list[Any]:
    """All of it, in reading order."""
    return [
        *_now(),
        row("Usage and forecast"),
        *_usage(),
        row("Speed"),
        *_speed(),
        row("Room and amounts"),
        *_amounts(),
        row("How good the forecasts are"),
        *_believed(),
        row("Tokens and cache"),
        *_tokens(),
        row("Tickets, leases, and use outside the rules"),
        *_outside(),
    ]


def _one(metric: str, extra: str = "") -> str:
    """A snapshot metric of the limit that is shown."""
    return by_limit(metric, extra, ONE)


def _now() -> list[Any]:
    lasting = {0: ("has run out", "red"), LASTS: ("lasts", "green"), **NO_FORECAST}
    free = f"{_one('quota_leases_limit')} - on (limit) {_one('quota_leases_active')}"
    return [
        number(
            "Limit shown here",
            "The chosen limit and how much of it is used; of a limit on leases, how many of them run.",
            otherwise(_one("quota_usage_ratio"), "no limit"),
            look("percentunit", USED, decimals=0, words={NONE: ("of this name", "text")}),
            width=6,
            legend="{{limit}}{{none}}",
            by_name=True,
        ),
        number(
            "Throttle level",
            "Open, throttled (a class is held back), paused (automation's allowance is spent), exhausted, or full (all "
            "leases run). It stays for some minutes after its cause has gone, such as an amount that was raised.",
            otherwise(level(ONE)),
            look("none", steps_of(STATES), values=STATES, words=UNKNOWN),
            width=5,
        ),
        number(
            "Runs out in",
            "How long the limit is expected to last.",
            otherwise(runs_out(ONE)),
            look("s", TIME_LEFT, decimals=1, words=lasting),
            width=5,
        ),
        number(
            "Reset in",
            "When the window ends and the limit is fresh again.",
            otherwise(time_left("quota_window_end_timestamp_seconds", ONE)),
            look("s", decimals=1, words={NONE: ("never resets", "text")}),
            width=4,
        ),
        number(
            "Risk",
            "Band of the 80th percentile of the usage at the reset. Unknown under 7 days of history.",
            otherwise(numbered("quota_risk", "risk", RISKS, ONE)),
            look("none", steps_of(RISKS), values=RISKS, words=UNKNOWN),
            width=4,
        ),
        number(
            "Expected at the reset",
            "Expected usage at the reset; above 100 % it runs out before.",
            otherwise(_one(FORECAST, EXPECTED)),
            look("percentunit", AT_RESET, decimals=0, words=NO_FORECAST),
            width=4,
        ),
        number(
            "Chance to run out",
            "Probability that usage passes the limit before the reset.",
            otherwise(_one("quota_forecast_exceed_probability_ratio")),
            look("percentunit", CHANCE, decimals=0, words=NO_FORECAST),
            width=4,
        ),
        number(
            "Headroom",
            "What automation may still start on, as a share of the limit; negative when more is used and reserved than "
            "its allowance.",
            otherwise(_one("quota_headroom_ratio")),
            look("percentunit", ((None, "red"), (0, "orange"), (0.1, "green")), decimals=0, words=UNKNOWN),
            width=4,
        ),
        number(
            "Running now",
            "Runs that this limit binds now.",
            otherwise(_one("quota_leases_active")),
            look("none", PLAIN, decimals=0, words=UNKNOWN),
            width=4,
        ),
        number(
            "Tokens per run, 7 days",
            "Mean size of the runs of the last 7 days that this limit binds.",
            otherwise(_one("quota_run_tokens_mean")),
            look("short", RUN_SIZE, decimals=1, words=NO_RUNS),
            width=4,
        ),
        number(
            "Runs that still fit",
            "Runs of that size that the headroom is good for until the reset; of a limit on leases, how many are free.",
            otherwise(f"{_one('quota_runs_remaining')} or {free}"),
            look("none", LEAST_RUNS, decimals=0, words=NO_RUNS),
            width=4,
        ),
    ]


def _usage() -> list[Any]:
    start, end = _one("quota_window_start_timestamp_seconds"), _one("quota_window_end_timestamp_seconds")
    pace = f"(time() - {start}) / ({end} - {start})"
    return [
        series(
            "Usage against the pace",
            "Used, and used with what running work has reserved. On the dashed grey line a window would be used up "
            "exactly at its reset; automation stops at the dashed purple one.",
            12,
            [
                target(_one("quota_usage_ratio"), "used"),
                target(_one("quota_committed_ratio"), "used and reserved"),
                target(pace, "even pace"),
                target(_one("quota_allowance_ratio"), "allowance"),
            ],
            look("percentunit", USED, min_val=0, empty=NO_SAMPLES),
            overrides=[
                by_name("used", color=fixed("blue"), custom__fillOpacity=15),
                by_name("used and reserved", color=fixed("light-blue"), custom__lineWidth=1),
                by_name("even pace", **dashed("text")),
                by_name("allowance", **dashed("purple")),
            ],
            marks=True,
        ),
        series(
            "Forecast fan",
            "Low, expected and high usage at the reset (80 % interval), as it was forecast at each moment, and what "
            "was used by then. A band that narrows towards the reset is a good sign.",
            12,
            [
                target(f"max by (limit, estimate) ({FORECAST}{{{ONE}}})", "{{estimate}}"),
                target(_one("quota_usage_ratio"), "used so far"),
            ],
            look("percentunit", AT_RESET, min_val=0, empty=f"{NO_SAMPLES}, or nothing resets here"),
            overrides=fan(),
            soft_max=1,
            marks=True,
        ),
    ]


def _speed() -> list[Any]:
    return [
        series(
            "Burn rate",
            "How fast the limit is used, by lookback. 1 is on pace: a whole window at this rate uses all of it. "
            "No rate is shown in the first 5 % of a window, nor for windows under two hours.",
            12,
            [target(f"max by (limit, lookback) (quota_burn_rate_ratio{{{ONE}}})", "{{lookback}}")],
            look("none", BURN, decimals=1, min_val=0, empty=NO_BURN),
            overrides=renamed(LOOKBACKS),
            marks=True,
        ),
        series(
            "Burn of what is left",
            "The same against what is left: above 1 the limit runs out before its reset. An alert needs both.",
            12,
            [target(f"max by (limit, lookback) (quota_remaining_burn_ratio{{{ONE}}})", "{{lookback}}")],
            look(
                "none",
                BURN,
                decimals=1,
                min_val=0,
                max_val=10,
                empty=NO_BURN,
                words=NOTHING_LEFT,
            ),
            overrides=renamed(LOOKBACKS),
            marks=True,
        ),
    ]


def _amounts() -> list[Any]:
    parts = "used", "reserved", "limit"
    own_unit = "In the limit's own unit: tokens, dollars or requests."
    return [
        series(
            "Used, reserved and limit",
            f"{own_unit} Reserved is what running work may still use.",
            8,
            [
                *(target(in_its_unit(part, ONE, ("tokens", "requests")), part) for part in parts),
                *(target(_one(f"quota_{part}_usd"), f"{part}, dollars") for part in parts),
            ],
            look("short", PLAIN, min_val=0, empty="a limit on leases has none"),
            overrides=[
                by_pattern("/, dollars$/", unit="currencyUSD"),
                by_pattern("/^used/", color=fixed("blue"), custom__stacking={"mode": "normal", "group": "A"}),
                by_pattern("/^reserved/", color=fixed("light-blue"), custom__stacking={"mode": "normal", "group": "A"}),
                by_pattern("/^limit/", **dashed("red")),
            ],
            fill=30,
        ),
        series(
            "Headroom and allowance",
            "Headroom is what automation may still start on, as a share of the limit; below zero more is used and "
            "reserved than the allowance. The allowance is the limit less what is kept for people.",
            8,
            [target(_one("quota_headroom_ratio"), "headroom"), target(_one("quota_allowance_ratio"), "allowance")],
            look("percentunit", ((None, "red"), (0, "green")), empty=NO_SAMPLES),
            overrides=[by_name("headroom", color=fixed("green")), by_name("allowance", **dashed("purple"))],
            marks=True,
        ),
        series(
            "Used today, running total",
            "Since midnight in the limit's time zone, and dashed the mean of the last 7 days by the same hour. "
            f"{own_unit}",
            8,
            [
                target(in_its_unit("used_today", ONE, ("tokens", "requests")), "used today"),
                target(_one("quota_used_today_usd"), "used today, dollars"),
                target(in_its_unit("usual_today", ONE, ("tokens", "requests")), "usual by this hour"),
                target(_one("quota_usual_today_usd"), "usual by this hour, dollars"),
            ],
            look("short", PLAIN, min_val=0, empty=f"{NO_SAMPLES}, or nothing was used"),
            overrides=[
                by_pattern("/, dollars$/", unit="currencyUSD"),
                by_pattern("/^used today/", color=fixed("blue")),
                by_pattern("/^usual/", **dashed("text")),
            ],
            fill=30,
        ),
    ]


def _believed() -> list[Any]:
    by_horizon = "max by (limit, horizon) ({}{{{}}})"
    return [
        series(
            "Coverage of the 80 % intervals",
            "How many of the last 30 judged intervals held the true value. Close to 80 % is right; between the dashed "
            "lines is chance.",
            8,
            [target(_one("quota_forecast_coverage_ratio"), "held")],
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


def _tokens() -> list[Any]:
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
            [target(hits, "last {{lookback}}"), target(_one("quota_cache_hit_baseline_ratio"), "usual")],
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


def _outside() -> list[Any]:
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
            [target(_one("quota_leases_active"), "running"), target(_one("quota_leases_limit"), "at most")],
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
            [target(_one("quota_overshoot_bound_tokens"), "tokens")],
            look("short", ((None, "green"), (1, "orange")), min_val=0, empty="not a limit in tokens"),
            overrides=[by_name("tokens", color=fixed("orange"))],
        ),
    ]
