"""Fleet overview: every limit at a glance, what runs out next and what has run out first."""

from typing import Any

from grafana.looks import (
    ANY,
    AT_RESET,
    BURN,
    CHANCE,
    LEAST_RUNS,
    NO_SAMPLES,
    NOTHING_LEFT,
    PLAIN,
    SITTING,
    SOME,
    TIME_LEFT,
    USED,
    by_name,
    fan,
    look,
    named,
    said,
    steps_of,
    thresholds,
)
from grafana.panels import (
    bars,
    grid,
    link,
    number,
    row,
    series,
    target,
    timeline,
)
from grafana.queries import (
    ALIVE,
    EXPECTED,
    FLEET,
    FORECAST,
    LASTS,
    LEVELS,
    LIMITS,
    NONE,
    RISKS,
    STATES,
    TOP,
    WAITING,
    WAITING_PEOPLE,
    ZERO,
    biggest,
    by_limit,
    each,
    fullest,
    in_its_unit,
    level,
    most,
    numbered,
    otherwise,
    restless,
    runs_out,
    time_left,
    used_up,
    was_full,
)

DETAIL = "Limit detail", "quota-limit"
ASKED = numbered("quota_optimization_level", "level", LEVELS)
EXPECTED_AT_RESET = by_limit(FORECAST, EXPECTED)
RUNS_OUT = time_left("quota_forecast_exhaustion_timestamp_seconds")
RESETS = time_left("quota_window_end_timestamp_seconds")
MODES = {"enforce": ("enforced", "text"), "warn": ("warns", "blue"), "off": ("off", "text")}
SHOWN_STOPPED = 3
ROWS = 20
"""Limits of a timeline that stand on one page of it."""


def panels() -> list[Any]:
    """All of it, in reading order."""
    return [
        *_next(),
        *_now(),
        _limits(),
        row("Usage and forecast"),
        *_over_time(),
        row("Throttle levels"),
        *_levels(),
        row("Today and what is left"),
        *_left(),
    ]


def _next() -> list[Any]:
    stopped = f"{level()} >= 2"
    full = f"topk(1, {by_limit('quota_usage_ratio')} and on (limit) ({RESETS}))"
    of_limit = link(*DETAIL, "limit", "${__field.labels.limit:percentencode}")
    return [
        number(
            "Next to run out in",
            "The limit that is expected to run out next before its reset, and how long it lasts. What has run out "
            "already is under stopped limits.",
            otherwise(f"bottomk(1, ({RUNS_OUT}) unless on (limit) ({used_up()}))", "no limit"),
            look("s", TIME_LEFT, decimals=1, words={NONE: ("runs out next", "green")}),
            width=6,
            leads_to=of_limit,
            legend="{{limit}}{{none}}",
            by_name=True,
        ),
        number(
            "Stopped limits",
            "Limits whose allowance for automation is spent (paused), or everything (exhausted), or all of whose "
            "leases run (full, which ends by itself). Those in mode warn hold nobody. A level stays for some minutes "
            "after its cause has gone, such as an amount that was raised.",
            otherwise(f"topk({SHOWN_STOPPED}, {stopped})", "no limit"),
            look(
                "none",
                steps_of(STATES),
                values=STATES,
                words={NONE: ("is stopped", "green")},
                decimals=0,
            ),
            width=9,
            leads_to=of_limit,
            legend="{{limit}}{{none}}",
            by_name=True,
            further=[(f"count({stopped}) - {SHOWN_STOPPED} > 0", "and more")],
            overrides=[by_name("and more", mappings=[], thresholds=thresholds(ANY))],
        ),
        number(
            "Reset of the fullest",
            "When the limit that is used most is fresh again.",
            otherwise(f"({RESETS}) and on (limit) {full}", "no limit"),
            look("s", PLAIN, decimals=1, words={NONE: ("resets", "text")}),
            width=5,
            leads_to=of_limit,
            legend="{{limit}}{{none}}",
            by_name=True,
        ),
        number(
            "Age of these figures",
            "How long ago the figures on this page were computed. Old means that the service or its database is down.",
            f"time() - {ALIVE}",
            look("s", ((None, "green"), (60, "orange"), (300, "red")), decimals=0),
            width=4,
        ),
    ]


def _now() -> list[Any]:
    return [
        number(
            "Forecast over 100 %",
            "Limits that are expected to run out before their reset, or have run out.",
            f"sum({EXPECTED_AT_RESET} > bool 1) or {ZERO}",
            look("none", ANY, decimals=0),
            width=6,
            height=3,
        ),
        number(
            "Tickets waiting",
            "Everybody who waits in the throttle queue.",
            otherwise(f"sum({WAITING})"),
            look("none", SOME, decimals=0, words={NONE: ("not known yet", "text")}),
            width=6,
            height=3,
            leads_to=link("Throttle queue", "quota-queue"),
        ),
        number(
            "Longest wait, interactive",
            "How long the oldest ticket of somebody who sits and waits has waited.",
            otherwise(WAITING_PEOPLE),
            look("s", SITTING, decimals=0, words={NONE: ("nobody waits", "green")}),
            width=6,
            height=3,
            leads_to=link("Throttle queue", "quota-queue"),
        ),
        number(
            "Alerts firing",
            "Alerts that fire in the service itself. A click leads to the table that names them.",
            f"sum({most('quota_alerts_firing', 'alert, severity', FLEET)}) or {ZERO}",
            look("none", ANY, decimals=0),
            width=6,
            height=3,
            leads_to=link("Which alerts", "quota-service"),
        ),
    ]


def _limits() -> Any:
    text = {"type": "color-text"}
    gauge = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
    share = {"unit": "percentunit", "decimals": 0, "min": 0, "max": 1, "custom__width": 80}
    at_reset = share | {"thresholds": thresholds(AT_RESET), "custom__cellOptions": text}
    plain = {"custom__align": "left"}
    words = said({0: ("has run out", "red"), LASTS: ("lasts", "green"), LASTS + 1: ("–", "text")})
    out = {"unit": "s", "decimals": 1, "thresholds": thresholds(TIME_LEFT), "mappings": words}
    left = f"({in_its_unit('limit')}) - on (limit) ({in_its_unit('used')})"
    below = thresholds(((None, "red"), (0, "text")))
    amount = {"decimals": 1, "custom__width": 85, "thresholds": below, "custom__cellOptions": text}
    lasting = f"{runs_out()} or 0 * {by_limit('quota_usage_ratio')} + {LASTS + 1}"
    free = f"{by_limit('quota_leases_limit')} - on (limit) {by_limit('quota_leases_active')}"
    return grid(
        "Limits",
        "Every limit in one line: what has run out, then what runs out next, then what is expected to be fullest. "
        "Expected and high are the forecast of its usage at the reset (upper end of the 80 % interval), chance the "
        "probability that it runs out before. Holds: tickets that it keeps waiting now. A level stays for some minutes "
        "after its cause has gone. A name leads to the limit's own page.",
        (24, 11),
        ("limit", "Limit"),
        [
            (
                "Used",
                by_limit("quota_usage_ratio"),
                share | {"custom__width": 150, "thresholds": thresholds(USED), "custom__cellOptions": gauge},
            ),
            ("Left", f"{left} or {free}", amount),
            ("Unit", "", plain | {"custom__width": 80}),
            ("Expected", EXPECTED_AT_RESET, at_reset | {"custom__width": 85}),
            ("High", by_limit(FORECAST, ',estimate="high"'), at_reset),
            (
                "Chance",
                by_limit("quota_forecast_exceed_probability_ratio"),
                share | {"thresholds": thresholds(CHANCE), "custom__cellOptions": text},
            ),
            ("Runs out in", lasting, out | {"custom__cellOptions": text, "custom__width": 110}),
            ("Reset in", RESETS, {"unit": "s", "decimals": 1, "noValue": "never", "custom__width": 105}),
            ("Window", "", plain | {"custom__width": 105}),
            ("Mode", "", plain | {"custom__width": 80, "mappings": said(MODES), "custom__cellOptions": text}),
            ("Runs left", by_limit("quota_runs_remaining"), {"decimals": 0, "custom__width": 85}),
            (
                "Holds",
                f"sum by (limit) ({each('quota_tickets_held')})",
                {
                    "decimals": 0,
                    "thresholds": thresholds(((None, "text"), (1, "yellow"))),
                    "custom__cellOptions": text,
                    "custom__width": 70,
                },
            ),
            ("Level", level(), _words(STATES) | {"custom__width": 100}),
            ("Risk", numbered("quota_risk", "risk", RISKS), _words(RISKS) | {"custom__width": 85}),
            (
                "Asked of runners",
                ASKED,
                _words(LEVELS) | {"custom__width": 135},
            ),
        ],
        sort=[("Runs out in", False), ("Expected", True)],
        facts=(
            f"max by (limit, unit, period, mode) (quota_info{{{LIMITS}}})",
            {"unit": "Unit", "period": "Window", "mode": "Mode"},
        ),
        key_look={"links": [link(*DETAIL, "limit", "${__value.text:percentencode}")], "custom__minWidth": 150},
        empty="service is down, or no limit is known",
    )


def _words(values: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    look_of = {"mappings": named(values), "thresholds": thresholds(steps_of(values))}
    return look_of | {"custom__cellOptions": {"type": "color-text"}, "custom__align": "left"}


def _over_time() -> list[Any]:
    fan_of = fullest(f"max by (limit, estimate) ({FORECAST}{{{LIMITS}}})", 1)
    chosen = f"The {TOP} limits that are expected to be fullest, of those chosen above."
    burn = by_limit("quota_remaining_burn_ratio", ',lookback="slow_long"')
    return [
        series(
            "Usage",
            f"Used share; falls to zero at a reset. {chosen} Dashed at 80 and 95 %, where alerts begin. What is above "
            "125 % is off the chart.",
            12,
            [target(fullest(by_limit("quota_usage_ratio")), "{{limit}}")],
            look("percentunit", USED, min_val=0, max_val=1.25, empty=NO_SAMPLES),
            marks=True,
        ),
        series(
            "Expected at the reset",
            f"Where a limit is expected to stand at its reset; above 100 % it runs out before. {chosen} What is above "
            "200 % is off the chart.",
            12,
            [target(fullest(EXPECTED_AT_RESET), "{{limit}}")],
            look("percentunit", AT_RESET, min_val=0, max_val=2, empty="no forecast yet"),
            marks=True,
        ),
        series(
            "Forecast fan of the limit closest to running out",
            "Low, expected and high usage at the reset (80 % interval) of the limit that is expected to be fullest, "
            "and what it has used so far. Choose a limit above to see its fan.",
            12,
            [target(fan_of, "{{estimate}}"), target(fullest(by_limit("quota_usage_ratio"), 1), "used so far")],
            look("percentunit", AT_RESET, min_val=0, empty="no forecast yet"),
            overrides=fan(),
            soft_max=1,
            marks=True,
        ),
        series(
            "Burn of what is left",
            f"At the pace of the slow long lookback: above 1 a limit runs out before its reset. {chosen} No rate is "
            "shown in the first 5 % of a window.",
            12,
            [target(fullest(burn), "{{limit}}")],
            look("none", BURN, decimals=1, min_val=0, max_val=5, empty="no burn rate yet", words=NOTHING_LEFT),
            marks=True,
        ),
    ]


def _levels() -> list[Any]:
    busiest = f"The {ROWS} limits that were so for longest; those without any are left out."
    return [
        timeline(
            "Throttle level",
            "Open: headroom alone decides. Throttled: a class is held back. Paused: automation has spent its "
            f"allowance. Exhausted: nothing is left. Full: all leases run. {busiest}",
            12,
            restless(level(), "quota_state", "state", "open", ROWS, was_full()),
            STATES,
            empty="every limit was open all the time, or there are no samples yet",
        ),
        timeline(
            "Asked of runners",
            "The optimization level, by how much headroom is left: over 60 %, over 30 %, over 10 %, or less. "
            f"{busiest}",
            12,
            restless(ASKED, "quota_optimization_level", "level", "minimal", ROWS),
            LEVELS,
            empty="nothing was asked all the time, or there are no samples yet",
        ),
    ]


def _left() -> list[Any]:
    midnight = "have used since midnight in their own time zone"
    runs = f"bottomk({TOP}, {by_limit('quota_runs_remaining')})"
    return [
        series(
            "Tokens used today, running total",
            f"What the {TOP} limits in tokens with most of it {midnight}.",
            8,
            [target(biggest("quota_used_today_tokens"), "{{limit}}")],
            look("short", PLAIN, min_val=0, empty="no limit in tokens"),
            fill=10,
        ),
        series(
            "Dollars used today, running total",
            f"What the {TOP} limits in dollars with most of it {midnight}.",
            8,
            [target(biggest("quota_used_today_usd"), "{{limit}}")],
            look("currencyUSD", PLAIN, min_val=0, empty="no limit in dollars"),
            fill=10,
        ),
        bars(
            "Runs that still fit",
            "How many runs of the average size of the last 7 days the headroom of a limit is good for: the "
            f"{TOP} limits with the fewest.",
            8,
            otherwise(runs, "every limit"),
            "{{limit}}{{none}}",
            look("none", LEAST_RUNS, decimals=0, min_val=0, words={NONE: ("no runs in 7 days", "text")}),
        ),
        series(
            "Owed within pools",
            "Who uses or holds more than its own amount, and whose that is, as a share of the pool that is chosen. A "
            "line that ends was paid back, or its window has ended; quota-scheduler teams loans says which. The "
            f"{TOP} largest.",
            24,
            [
                target(
                    biggest("quota_owed_ratio", "limit, lender, borrower"), "{{borrower}} owes {{lender}} of {{limit}}"
                )
            ],
            look("percentunit", PLAIN, min_val=0, empty="nobody owes anything"),
        ),
    ]
