"""Efficiency: where the tokens go, how well the cache works, how large runs are, and what optimizations brought."""

from typing import Any

from grafana.looks import (
    ANY,
    HIT,
    KINDS,
    LEAST_RUNS,
    NO_SAMPLES,
    PLAIN,
    RUN_SIZE,
    by_pattern,
    dashed,
    look,
    renamed,
    thresholds,
)
from grafana.panels import (
    bars,
    grid,
    number,
    row,
    series,
    target,
)
from grafana.queries import (
    DAY,
    FLEET,
    LIMITS,
    NONE,
    TOP,
    WORKFLOWS,
    ZERO,
    alive,
    biggest,
    by_limit,
    fullest,
    grown_most,
    lately,
    most,
    otherwise,
    quantile,
)

TOKENS, COST = "quota_recorded_tokens_total", "quota_recorded_usd_total"
MONTHLY = f'max by (limit) (quota_info{{{LIMITS},period="month"}})'
RUNS_LEFT = by_limit("quota_runs_remaining")
BACKFILL = "Usage that came over an hour late, such as an import, is left out."
UNNAMED = {"legend": True, "tooltip": False, "viz": False}


def panels() -> list[Any]:
    """All of it, in reading order."""
    return [
        *_now(),
        row("Consumption"),
        *_consumption(),
        row("Cache"),
        *_cache(),
        row("Runs"),
        *_runs(),
        row("What optimizations brought"),
        *_optimizations(),
    ]


def _day(metric: str) -> str:
    """Growth over a day, of everything that was recorded."""
    return alive(f"sum(max without (instance) (increase({metric}{{{FLEET}}}[{DAY}])))") + f" or {ZERO}"


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (max without (instance) (rate({metric}{{{FLEET}}}[$__rate_interval])))"


def _now() -> list[Any]:
    return [
        number(
            "Tokens, last 24 h",
            f"Of all usage, whatever limits it falls under. {BACKFILL}",
            _day(TOKENS),
            look("short", PLAIN, decimals=1),
            width=4,
        ),
        number(
            "Cost, last 24 h",
            f"Of all usage, at list prices. Subscriptions do not charge it. {BACKFILL}",
            _day(COST),
            look("currencyUSD", PLAIN, decimals=2),
            width=4,
        ),
        number(
            "Weakest cache",
            "The lowest cache hit rate of any workflow in the last 24 hours. Below 90 % is worth a look.",
            otherwise(f"bottomk(1, {most('quota_workflow_cache_hit_ratio', 'workflow', WORKFLOWS)})", "no workflow"),
            look("percentunit", HIT, decimals=0, words={NONE: ("had input in 24 h", "text")}),
            width=4,
            legend="{{workflow}}{{none}}",
            by_name=True,
        ),
        number(
            "Tokens per run, 7 days",
            "Mean size of the runs of the last 7 days, of the limit where it is largest.",
            otherwise(f"topk(1, {by_limit('quota_run_tokens_mean')})", "no limit"),
            look("short", RUN_SIZE, decimals=1, words={NONE: ("had runs", "text")}),
            width=4,
            legend="{{limit}}{{none}}",
            by_name=True,
        ),
        number(
            "Runs left this month",
            "Runs of the average size of the last 7 days that the tightest monthly limit is still good for.",
            otherwise(f"min({RUNS_LEFT} and on (limit) {MONTHLY})"),
            look("none", LEAST_RUNS, decimals=0, words={NONE: ("no monthly limit, or no runs", "text")}),
            width=4,
        ),
        number(
            "Over budget, last 24 h",
            "Runs that passed their cap in the last 24 hours.",
            f"sum({lately('quota_workflows_over_budget_total', 'task_type', FLEET, DAY, 'max')}) or {ZERO}",
            look("none", ANY, decimals=0),
            width=4,
        ),
    ]


def _consumption() -> list[Any]:
    today = biggest("quota_used_today_tokens")
    return [
        series(
            "Daily consumption, running total",
            "Tokens since midnight in the limit's own time zone, and dashed what is usual by the same hour, the mean "
            f"of the last 7 days: the {TOP} limits in tokens that have counted most.",
            12,
            [
                target(today, "{{limit}}"),
                target(f"{by_limit('quota_usual_today_tokens')} and on (limit) ({today})", "{{limit}} usual"),
            ],
            look("short", PLAIN, min_val=0, empty="no limit in tokens"),
            overrides=[by_pattern("/ usual$/", **_compared(), custom__hideFrom=UNNAMED)],
        ),
        series(
            "Tokens per minute, by kind",
            f"Of all usage. Cached tokens count against subscriptions too. {BACKFILL}",
            12,
            [target(f"60 * {_rate(TOKENS, 'kind')}", "{{kind}}")],
            look("short", PLAIN, min_val=0, empty=f"{NO_SAMPLES}, or nothing was used"),
            overrides=renamed(KINDS),
            stacked=True,
            fill=40,
        ),
        series(
            "Tokens per minute, by model",
            f"Of all usage, the {TOP} models with most. {BACKFILL}",
            12,
            [target(grown_most(f"60 * {_rate(TOKENS, 'model')}", TOKENS, "model", FLEET), "{{model}}")],
            look("short", PLAIN, min_val=0, empty=f"{NO_SAMPLES}, or nothing was used"),
            stacked=True,
            fill=40,
        ),
        series(
            "Dollars per hour, by model",
            f"Of all usage, at list prices, the {TOP} models with most. {BACKFILL}",
            12,
            [target(grown_most(f"3600 * {_rate(COST, 'model')}", COST, "model", FLEET), "{{model}}")],
            look("currencyUSD", PLAIN, min_val=0, empty=f"{NO_SAMPLES}, or nothing was used"),
            stacked=True,
            fill=40,
        ),
    ]


def _cache() -> list[Any]:
    usual = "quota_workflow_cache_baseline_ratio"
    weakest = biggest("quota_workflow_cache_hit_ratio", "workflow", WORKFLOWS, choose="bottomk")
    day, week = (by_limit("quota_cache_hit_ratio", f',lookback="{span}"') for span in ("1d", "7d"))
    return [
        series(
            "Cache hit rate by workflow",
            "Share of the input of the last 24 hours that was read from the cache; dashed its usual value, the median "
            f"of the 14 days before. A drop below both marks is an alert. The {TOP} workflows with the lowest rate.",
            12,
            [
                target(weakest, "{{workflow}}"),
                target(f"{most(usual, 'workflow', WORKFLOWS)} and on (workflow) ({weakest})", "{{workflow}} usual"),
            ],
            look("percentunit", HIT, max_val=1, empty=f"{NO_SAMPLES}, or no input in 24 h"),
            soft_min=0.6,
            overrides=[by_pattern("/ usual$/", **_compared())],
            marks=True,
        ),
        series(
            "Cache hit rate trend",
            "Of everything that a limit counts: the last 24 hours, and dashed the last 7 days. The "
            f"{TOP} limits that are expected to be fullest.",
            12,
            [target(fullest(day), "{{limit}}"), target(fullest(week), "{{limit}} 7 days")],
            look("percentunit", HIT, max_val=1, empty=f"{NO_SAMPLES}, or no input in 7 days"),
            soft_min=0.6,
            overrides=[by_pattern("/ 7 days$/", **_compared(), custom__hideFrom=UNNAMED)],
            marks=True,
        ),
    ]


def _compared() -> dict[str, Any]:
    look_of = dashed("text")
    del look_of["color"]
    return look_of


def _runs() -> list[Any]:
    sizes, errors = "quota_workflow_tokens", "quota_estimate_error_ratio"
    return [
        series(
            "Average tokens per run, 7 days",
            "Mean size of the runs of the last 7 days, by the limit that binds them: the "
            f"{TOP} with the largest. From 3M on a run is reported.",
            12,
            [target(biggest("quota_run_tokens_mean"), "{{limit}}")],
            look("short", RUN_SIZE, decimals=1, min_val=0, empty=f"{NO_SAMPLES}, or no runs"),
        ),
        bars(
            "Runs left at the current rate",
            "How many runs of the average size of the last 7 days the headroom of a limit is good for: the "
            f"{TOP} limits with the fewest.",
            12,
            otherwise(f"bottomk({TOP}, {RUNS_LEFT})", "every limit"),
            "{{limit}}{{none}}",
            look("none", LEAST_RUNS, decimals=0, min_val=0, words={NONE: ("no runs in 7 days", "text")}),
        ),
        series(
            "Size of finished runs",
            "Runs that finished in the last 24 hours: half used less than the median, nine of ten less than p90.",
            8,
            [
                target(quantile(0.5, sizes, "task_type", DAY), "{{task_type}} median"),
                target(quantile(0.9, sizes, "task_type", DAY), "{{task_type}} p90"),
            ],
            look("short", PLAIN, min_val=0, empty=f"{NO_SAMPLES}, or no run has finished"),
            overrides=[by_pattern("/ p90$/", **_compared())],
        ),
        series(
            "Actual against estimated",
            "Tokens of finished runs over what was estimated, in the last 24 hours. 1 is a perfect estimate; above 1 "
            "runs cost more than their tickets said.",
            8,
            [
                target(quantile(0.5, errors, "task_type", DAY), "{{task_type}} median"),
                target(quantile(0.9, errors, "task_type", DAY), "{{task_type}} p90"),
            ],
            look(
                "none",
                ((None, "green"), (2, "orange")),
                decimals=2,
                min_val=0,
                empty=f"{NO_SAMPLES}, or no estimated run has finished",
            ),
            overrides=[by_pattern("/ p90$/", **_compared())],
            marks=True,
        ),
        series(
            "Runs over their budget, last 24 h",
            "Runs that passed their cap, by task type.",
            8,
            [target(lately("quota_workflows_over_budget_total", "task_type", FLEET, DAY, "max"), "{{task_type}}")],
            look("none", ANY, decimals=0, min_val=0, empty=f"{NO_SAMPLES}, or no run has passed its cap"),
            fill=20,
        ),
    ]


def _optimizations() -> list[Any]:
    effect = "quota_optimization_effect_ratio"
    good = {"unit": "percentunit", "decimals": 0, "custom__cellOptions": {"type": "color-text"}}
    ratio = good | {"thresholds": thresholds(((None, "green"), (1, "orange")))}
    share = good | {"thresholds": thresholds(((None, "red"), (0.8, "orange"), (0.9, "green")))}

    def of(estimate: str) -> str:
        return most(effect, "flag", f'{FLEET},estimate="{estimate}"')

    def success(side: str) -> str:
        return most("quota_optimization_success_ratio", "flag", f'{FLEET},side="{side}"')

    few = {"noValue": "too few runs"}
    return [
        grid(
            "Before and after",
            "Tokens per run with a flag, as a share of those without it: 70 % means that it saves 30 %. Matched by "
            "workflow, with a 95 % interval; a flag that makes runs fail is no saving, so success stands beside it.",
            (14, 7),
            ("flag", "Flag"),
            [
                (
                    "Workflows, 7 days",
                    most("quota_optimization_flagged_workflows", "flag", FLEET),
                    {"decimals": 0, "custom__width": 150},
                ),
                ("Tokens with it", of("expected"), ratio | few | {"custom__width": 130}),
                ("Low", of("low"), ratio | {"custom__width": 80}),
                ("High", of("high"), ratio | {"custom__width": 80}),
                ("Success with", success("with"), share | {"custom__width": 120}),
                ("Success without", success("without"), share | {"custom__width": 130}),
            ],
            sort=[("Tokens with it", False)],
            key_look={"custom__minWidth": 140},
            empty="no run carried a flag",
        ),
        series(
            "Effect of each flag",
            "Tokens per run with the flag over without: below 100 % it saves.",
            10,
            [target(of("expected"), "{{flag}}")],
            look(
                "percentunit",
                ((None, "green"), (1, "red")),
                min_val=0,
                empty=f"{NO_SAMPLES}, or too few runs to compare",
            ),
            marks=True,
            height=7,
        ),
    ]
