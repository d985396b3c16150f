"""Fleet overview: every limit at a glance, the most endangered first."""

from typing import Any

from grafana.panels import (
    ANY,
    AT_RESET,
    CHANCE,
    LEAST_RUNS,
    PLAIN,
    SOME,
    USED,
    bars,
    fan,
    grid,
    look,
    named,
    number,
    row,
    series,
    steps_of,
    target,
    thresholds,
    timeline,
)
from grafana.queries import (
    ALIVE,
    EXPECTED,
    FLEET,
    FORECAST,
    LEVELS,
    LIMITS,
    NONE,
    RISKS,
    STATES,
    ZERO,
    by_limit,
    each,
    fullest,
    most,
    numbered,
    otherwise,
)

DETAIL = {"title": "Limit detail", "url": "/d/quota-limit?var-limit=${__value.text}&${__url_time_range}"}
EXPECTED_AT_RESET = by_limit(FORECAST, EXPECTED)


def panels() -> list[Any]:
    """All of it, in reading order."""
    return [
        *_now(),
        _limits(),
        row("Usage and forecast"),
        *_over_time(),
        row("Throttle levels"),
        *_levels(),
        row("Today and what is left"),
        *_left(),
    ]


def _now() -> list[Any]:
    stopped = each("quota_state", LIMITS + ',state=~"paused|exhausted"')
    waiting = f"max(sum by (limit) ({each('quota_tickets_waiting')}))"
    return [
        number(
            "Closest to running out",
            "The limit that is expected to be fullest at its reset, and how full: 100 % is all of it.",
            otherwise(f"topk(1, {EXPECTED_AT_RESET})", "no limit"),
            look("percentunit", AT_RESET, decimals=0, words={NONE: ("has a forecast", "text")}),
            width=6,
            legend="{{limit}}{{none}}",
            by_name=True,
        ),
        number(
            "Stopped limits",
            "Limits whose allowance for automation is spent, or everything. Those in mode warn hold nobody.",
            f"sum({stopped}) or {ZERO}",
            look("none", ANY, decimals=0),
        ),
        number(
            "Forecast over 100 %",
            "Limits that are expected to run out before their reset.",
            f"sum({EXPECTED_AT_RESET} > bool 1) or {ZERO}",
            look("none", ANY, decimals=0),
        ),
        number(
            "Next reset",
            "When the first window ends, and its limit is fresh again.",
            otherwise(f"1000 * min({by_limit('quota_window_end_timestamp_seconds')} > time())"),
            look("dateTimeFromNow", words={NONE: ("no window", "text")}),
        ),
        number(
            "Tickets waiting",
            "Waiting in the throttle queue, at the limit where most wait.",
            f"{waiting} or {ZERO}",
            look("none", SOME, decimals=0),
        ),
        number(
            "Alerts firing",
            "Alerts that fire in the service itself.",
            f"sum({most('quota_alerts_firing', 'alert, severity', FLEET)}) or {ZERO}",
            look("none", ANY, decimals=0),
        ),
        number(
            "Age of these figures",
            "How long ago the figures on this page were computed. Old means that the service or its database is down.",
            f"time() - {ALIVE}",
            look("s", ((None, "green"), (60, "orange"), (300, "red")), decimals=0),
        ),
    ]


def _limits() -> Any:
    text = {"type": "color-text"}
    gauge = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
    share = {"unit": "percentunit", "decimals": 0, "min": 0, "max": 1, "custom__width": 90}
    at_reset = share | {"thresholds": thresholds(AT_RESET), "custom__cellOptions": text}
    return grid(
        "Limits",
        "Every limit in one line, the fullest first. Low, expected and high are the forecast of its usage at the reset "
        "(80 % interval), chance the probability that it runs out before. A name leads to the limit's own page.",
        (24, 11),
        ("limit", "Limit"),
        [
            (
                "Used",
                by_limit("quota_usage_ratio"),
                share | {"custom__width": 150, "thresholds": thresholds(USED), "custom__cellOptions": gauge},
            ),
            ("With reserved", by_limit("quota_committed_ratio"), share | {"custom__width": 115}),
            ("Low", by_limit(FORECAST, ',estimate="low"'), at_reset | {"custom__width": 70}),
            ("Expected", EXPECTED_AT_RESET, at_reset),
            ("High", by_limit(FORECAST, ',estimate="high"'), at_reset | {"custom__width": 70}),
            (
                "Chance",
                by_limit("quota_forecast_exceed_probability_ratio"),
                share | {"thresholds": thresholds(CHANCE), "custom__cellOptions": text},
            ),
            (
                "Runs out",
                f"1000 * {by_limit('quota_forecast_exhaustion_timestamp_seconds')}",
                {"unit": "dateTimeFromNow", "noValue": "lasts", "custom__width": 140},
            ),
            (
                "Reset",
                f"1000 * {by_limit('quota_window_end_timestamp_seconds')}",
                {"unit": "dateTimeFromNow", "noValue": "never", "custom__width": 140},
            ),
            ("Runs left", by_limit("quota_runs_remaining"), {"decimals": 0, "noValue": "–", "custom__width": 95}),
            ("Level", numbered("quota_state", "state", STATES), _words(STATES) | {"custom__width": 110}),
            ("Risk", numbered("quota_risk", "risk", RISKS), _words(RISKS) | {"custom__width": 100}),
            (
                "Asked of runners",
                numbered("quota_optimization_level", "level", LEVELS),
                _words(LEVELS) | {"custom__width": 140},
            ),
        ],
        sort="Used",
        key_look={"links": [DETAIL], "custom__minWidth": 160},
        empty="no limit is known: is the service running?",
    )


def _words(values: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    look_of = {"mappings": named(values), "thresholds": thresholds(steps_of(values))}
    return look_of | {"custom__cellOptions": {"type": "color-text"}, "custom__align": "left"}


def _over_time() -> list[Any]:
    fan_of = fullest(f"max by (limit, estimate) ({FORECAST}{{{LIMITS}}})", 1)
    return [
        series(
            "Usage",
            "Used share of each limit; falls to zero at a reset. Dashed at 80 and 95 %, where alerts begin. What is "
            "above 125 % is off the chart.",
            12,
            [target(by_limit("quota_usage_ratio"), "{{limit}}")],
            look("percentunit", USED, min_val=0, max_val=1.25, empty="no limit is known"),
            marks=True,
        ),
        series(
            "Expected at the reset",
            "Where each limit is expected to stand at its reset. Above 100 % it runs out before. What is above 200 % "
            "is off the chart.",
            12,
            [target(EXPECTED_AT_RESET, "{{limit}}")],
            look("percentunit", AT_RESET, min_val=0, max_val=2, empty="no forecast yet"),
            marks=True,
        ),
        series(
            "Forecast fan of the limit closest to running out",
            "Low, expected and high usage at the reset (80 % interval) of the limit named at the top left, and what it "
            "has used so far. Choose a limit above to see its fan.",
            12,
            [target(fan_of, "{{estimate}}"), target(fullest(by_limit("quota_usage_ratio"), 1), "used so far")],
            look("percentunit", AT_RESET, min_val=0, empty="no forecast yet"),
            overrides=fan(),
            marks=True,
        ),
        series(
            "Burn of what is left",
            "At the pace of the slow long lookback: above 1 the limit runs out before its reset. No rate is shown in "
            "the first 5 % of a window.",
            12,
            [target(by_limit("quota_remaining_burn_ratio", ',lookback="slow_long"'), "{{limit}}")],
            look("none", ((None, "green"), (1, "red")), decimals=1, min_val=0, max_val=5, empty="no burn rate yet"),
            marks=True,
        ),
    ]


def _levels() -> list[Any]:
    return [
        timeline(
            "Throttle level",
            "Open: headroom alone decides. Throttled: a class is held back. Paused: automation has spent its "
            "allowance. Exhausted: nothing is left.",
            12,
            numbered("quota_state", "state", STATES),
            STATES,
        ),
        timeline(
            "Asked of runners",
            "The optimization level, by how much headroom is left: over 60 %, over 30 %, over 10 %, or less.",
            12,
            numbered("quota_optimization_level", "level", LEVELS),
            LEVELS,
        ),
    ]


def _left() -> list[Any]:
    return [
        series(
            "Tokens used today, running total",
            "What each limit in tokens has used since midnight in its own time zone.",
            8,
            [target(by_limit("quota_used_today_tokens"), "{{limit}}")],
            look("short", PLAIN, min_val=0, empty="no limit in tokens"),
            fill=10,
        ),
        series(
            "Dollars used today, running total",
            "What each limit in dollars has used since midnight in its own time zone.",
            8,
            [target(by_limit("quota_used_today_usd"), "{{limit}}")],
            look("currencyUSD", PLAIN, min_val=0, empty="no limit in dollars"),
            fill=10,
        ),
        bars(
            "Runs that still fit",
            "How many runs of the average size of the last 7 days the headroom of each limit is good for.",
            8,
            otherwise(by_limit("quota_runs_remaining"), "every limit"),
            "{{limit}}{{none}}",
            look("none", LEAST_RUNS, decimals=0, min_val=0, words={NONE: ("no runs in 7 days", "text")}),
        ),
    ]
