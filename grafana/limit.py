"""Limit detail: one limit, from its usage to how far its forecasts can be believed."""

from typing import Any

from grafana.limit_observed import observed
from grafana.limit_record import believed, outside, tokens
from grafana.looks import (
    AT_RESET,
    BURN,
    CHANCE,
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
    renamed,
    steps_of,
)
from grafana.panels import (
    number,
    row,
    series,
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
    in_its_unit,
    level,
    numbered,
    one,
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
        row("The provider's word"),
        *observed(),
        row("How good the forecasts are"),
        *believed(),
        row("Tokens and cache"),
        *tokens(),
        row("Tickets, leases, and use outside the rules"),
        *outside(),
    ]


def _now() -> list[Any]:
    lasting = {0: ("has run out", "red"), LASTS: ("lasts", "green"), **NO_FORECAST}
    free = f"{one('quota_leases_limit')} - on (limit) {one('quota_leases_active')}"
    return [
        number(
            "Limit shown here",
            "The chosen limit and how much of it is used; of a limit on leases, how many of them run.",
            otherwise(one("quota_usage_ratio"), "no limit"),
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
            otherwise(one(FORECAST, EXPECTED)),
            look("percentunit", AT_RESET, decimals=0, words=NO_FORECAST),
            width=4,
        ),
        number(
            "Chance to run out",
            "Probability that usage passes the limit before the reset.",
            otherwise(one("quota_forecast_exceed_probability_ratio")),
            look("percentunit", CHANCE, decimals=0, words=NO_FORECAST),
            width=4,
        ),
        number(
            "Headroom",
            "What automation may still start on, as a share of the limit; negative when more is used and reserved than "
            "its allowance.",
            otherwise(one("quota_headroom_ratio")),
            look("percentunit", ((None, "red"), (0, "orange"), (0.1, "green")), decimals=0, words=UNKNOWN),
            width=4,
        ),
        number(
            "Running now",
            "Runs that this limit binds now.",
            otherwise(one("quota_leases_active")),
            look("none", PLAIN, decimals=0, words=UNKNOWN),
            width=4,
        ),
        number(
            "Tokens per run, 7 days",
            "Mean size of the runs of the last 7 days that this limit binds.",
            otherwise(one("quota_run_tokens_mean")),
            look("short", RUN_SIZE, decimals=1, words=NO_RUNS),
            width=4,
        ),
        number(
            "Runs that still fit",
            "Runs of that size that the headroom is good for until the reset; of a limit on leases, how many are free.",
            otherwise(f"{one('quota_runs_remaining')} or {free}"),
            look("none", LEAST_RUNS, decimals=0, words=NO_RUNS),
            width=4,
        ),
    ]


def _usage() -> list[Any]:
    start, end = one("quota_window_start_timestamp_seconds"), one("quota_window_end_timestamp_seconds")
    pace = f"(time() - {start}) / ({end} - {start})"
    return [
        series(
            "Usage against the pace",
            "Used, and used with what running work has reserved. On the dashed grey line a window would be used up "
            "exactly at its reset; automation stops at the dashed purple one.",
            12,
            [
                target(one("quota_usage_ratio"), "used"),
                target(one("quota_committed_ratio"), "used and reserved"),
                target(pace, "even pace"),
                target(one("quota_allowance_ratio"), "allowance"),
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
                target(one("quota_usage_ratio"), "used so far"),
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
                *(target(one(f"quota_{part}_usd"), f"{part}, dollars") for part in parts),
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
            [target(one("quota_headroom_ratio"), "headroom"), target(one("quota_allowance_ratio"), "allowance")],
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
                target(one("quota_used_today_usd"), "used today, dollars"),
                target(in_its_unit("usual_today", ONE, ("tokens", "requests")), "usual by this hour"),
                target(one("quota_usual_today_usd"), "usual by this hour, dollars"),
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
