"""Throttle queue: who waits, for how long, what was decided and why, and what runs."""

from typing import Any

from grafana.panels import (
    ANY,
    CLASSES,
    DECISIONS,
    NO_SAMPLES,
    PLAIN,
    SOME,
    by_pattern,
    coloured,
    dashed,
    grid,
    look,
    named,
    number,
    row,
    series,
    steps_of,
    target,
    thresholds,
)
from grafana.queries import (
    FLEET,
    HOUR,
    LIMITS,
    NONE,
    STATES,
    TOP,
    ZERO,
    alive,
    biggest,
    by_limit,
    each,
    grown_most,
    lately,
    most,
    numbered,
    otherwise,
    quantile,
    summed,
)

WAITING = each("quota_tickets_waiting")
DECIDED = "quota_admission_decisions_total"
HELD = f'{LIMITS},decision!="admit"'


def panels() -> list[Any]:
    """All of it, in reading order."""
    return [
        *_now(),
        row("Who waits"),
        *_waiting(),
        row("Decisions and their reasons"),
        *_decisions(),
        row("How long it takes"),
        *_times(),
        row("Leases"),
        *_leases(),
    ]


def _now() -> list[Any]:
    oldest = f"time() - min({each('quota_tickets_oldest_timestamp_seconds')})"
    return [
        number(
            "Waiting now",
            "Tickets in the throttle queue, at the limit where most wait.",
            f"max(sum by (limit) ({WAITING})) or {ZERO}",
            look("none", SOME, decimals=0),
            width=4,
        ),
        number(
            "Longest wait",
            "How long the oldest waiting ticket has waited.",
            otherwise(oldest),
            look(
                "s",
                ((None, "green"), (3600, "yellow"), (86400, "orange")),
                decimals=0,
                words={NONE: ("nobody waits", "green")},
            ),
            width=4,
        ),
        number(
            "Running now",
            "Leases that run, of all providers.",
            f"sum({most('quota_concurrency_in_use', 'provider', FLEET)}) or {ZERO}",
            look("none", PLAIN, decimals=0),
            width=4,
        ),
        *(
            number(
                f"{title}, last hour",
                text,
                alive(f'sum(increase({DECIDED}{{{LIMITS},decision="{decision}"}}[{HOUR}]))') + f" or {ZERO}",
                look("none", steps, decimals=0),
                width=4,
            )
            for title, text, decision, steps in (
                ("Admitted", "Tickets that were let start.", "admit", ((None, "green"),)),
                ("Deferred", "Verdicts that said: wait.", "defer", SOME),
                ("Rejected", "Tickets that can never run as asked.", "reject", ANY),
            )
        ),
    ]


def _waiting() -> list[Any]:
    return [
        series(
            "Waiting by class",
            "Tickets of each priority class, at the limit where most of the class wait.",
            7,
            [target("max by (class) (" + WAITING + ")", "{{class}}")],
            look("none", PLAIN, decimals=0, min_val=0, empty="nobody waits"),
            overrides=coloured(CLASSES),
            fill=20,
        ),
        series(
            "Longest wait by class",
            "How long the oldest waiting ticket of each class has waited.",
            7,
            [target(f"time() - min by (class) ({each('quota_tickets_oldest_timestamp_seconds')})", "{{class}}")],
            look("s", PLAIN, min_val=0, empty="nobody waits"),
            overrides=coloured(CLASSES),
        ),
        _where(),
    ]


def _where() -> Any:
    waits = f"sum by (limit) ({WAITING}) > 0"
    only = f" and on (limit) ({waits})"
    words = {"mappings": named(STATES), "thresholds": thresholds(steps_of(STATES)), "custom__align": "left"}
    return grid(
        "Where they wait",
        "Limits that waiting tickets fall under, since when, and when they reset: by then there is room again. The "
        "expected start of one ticket is told by quota-scheduler queue explain.",
        (10, 9),
        ("limit", "Limit"),
        [
            ("Waiting", waits, {"decimals": 0, "custom__width": 75}),
            (
                "Oldest came",
                f"1000 * min by (limit) ({each('quota_tickets_oldest_timestamp_seconds')})",
                {"unit": "dateTimeFromNow", "custom__width": 115},
            ),
            (
                "Room again",
                f"1000 * {by_limit('quota_window_end_timestamp_seconds')}{only}",
                {"unit": "dateTimeFromNow", "noValue": "when a run ends", "custom__width": 135},
            ),
            (
                "Level",
                f"{numbered('quota_state', 'state', STATES)}{only}",
                words | {"custom__cellOptions": {"type": "color-text"}, "custom__width": 100},
            ),
        ],
        sort=[("Waiting", True)],
        empty="nobody waits",
    )


def _decisions() -> list[Any]:
    would = lately("quota_would_defer_total", "limit, class", LIMITS, HOUR, "max")
    would = f"sum by (limit) ({would})"
    return [
        series(
            "Decisions per minute",
            "Verdicts: let start, told to wait, or never.",
            8,
            [target(f"60 * {summed(DECIDED, 'decision', LIMITS)}", "{{decision}}")],
            look("none", PLAIN, decimals=1, min_val=0, empty="nothing was asked"),
            overrides=coloured(DECISIONS),
            bars=True,
            stacked=True,
        ),
        series(
            "Reasons per minute",
            "Why tickets were told to wait or never to run. The codes are explained in the reference.",
            8,
            [
                target(
                    f"60 * {summed(DECIDED, 'decision, reason', HELD)}",
                    "{{decision}}: {{reason}}",
                )
            ],
            look("none", PLAIN, decimals=1, min_val=0, empty="nobody was held"),
            bars=True,
            stacked=True,
        ),
        series(
            "Would have waited, per hour",
            "Tickets that limits in mode warn would have held: what enforcing them would mean. The "
            f"{TOP} limits that would have held most.",
            8,
            [target(grown_most(would, "quota_would_defer_total"), "{{limit}}")],
            look("none", PLAIN, decimals=0, min_val=0, empty="no limit only warns, or none would have held anybody"),
        ),
    ]


def _times() -> list[Any]:
    waits = "quota_tickets_wait_seconds"
    left = (("quota_tickets_woken_total", "started"), ("quota_tickets_abandoned_total", "given up"))
    return [
        series(
            "Wait before the start",
            "Of deferred tickets that started within the last hour: half waited less than the median, nine of ten less "
            "than p90.",
            8,
            [
                target(quantile(0.5, waits, "class", HOUR), "{{class}} median"),
                target(quantile(0.9, waits, "class", HOUR), "{{class}} p90"),
            ],
            look("s", PLAIN, min_val=0, empty="no deferred ticket started in the last hour"),
            overrides=[*coloured(CLASSES), by_pattern("/ p90$/", **_thin())],
        ),
        series(
            "Left the queue, last hour",
            "Tickets that left the queue to start, and that nobody claimed or that were withdrawn.",
            8,
            [target(lately(metric, "class", LIMITS, HOUR, "max"), f"{{{{class}}}} {name}") for metric, name in left],
            look("none", PLAIN, decimals=0, min_val=0, empty="nobody has waited yet"),
            overrides=[*coloured(CLASSES), by_pattern("/ given up$/", **_thin())],
        ),
        series(
            "Time to decide",
            "From the arrival of a request to its answer being safe on disk. Over 250 ms an alert fires.",
            8,
            [
                target(quantile(0.5, "quota_admission_duration_seconds", "decision"), "{{decision}} median"),
                target(quantile(0.99, "quota_admission_duration_seconds", "decision"), "{{decision}} p99"),
            ],
            look("s", ((None, "green"), (0.25, "red")), min_val=0, empty="nothing was asked"),
            overrides=[*coloured(DECISIONS), by_pattern("/ p99$/", **_thin())],
        ),
    ]


def _thin() -> dict[str, Any]:
    return {"custom__lineStyle": {"fill": "dash", "dash": [8, 6]}, "custom__lineWidth": 1}


def _leases() -> list[Any]:
    expired = lately("quota_leases_expired_total", "limit", LIMITS, HOUR, "max")
    running, ever = (
        most(f"quota_{m}", "provider", FLEET) for m in ("concurrency_in_use", "last_usage_timestamp_seconds")
    )
    return [
        series(
            "Running leases by provider",
            "Runs at once, and how many a limit on all leases of the provider allows.",
            8,
            [
                target(f"{running} or 0 * {ever}", "{{provider}}"),
                target(most("quota_concurrency_limit", "provider", FLEET), "{{provider}} at most"),
            ],
            look("none", PLAIN, decimals=0, min_val=0, empty="nothing has run yet"),
            overrides=[by_pattern("/ at most$/", **dashed("red"))],
        ),
        series(
            "Running leases by limit",
            f"Runs that a limit binds, of the {TOP} with most; a run that several bind is shown in each.",
            8,
            [target(biggest("quota_leases_active"), "{{limit}}")],
            look("none", PLAIN, decimals=0, min_val=0, empty=NO_SAMPLES),
        ),
        series(
            "Leases that ran out, last hour",
            "Leases whose runner was not heard of any more. A few are crashes; many are a runner that "
            f"does not release. The {TOP} limits with most of them.",
            8,
            [target(grown_most(expired, "quota_leases_expired_total"), "{{limit}}")],
            look("none", ((None, "green"), (5, "orange")), decimals=0, min_val=0, empty=NO_SAMPLES),
            marks=True,
        ),
    ]
