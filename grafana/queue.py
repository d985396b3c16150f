"""Throttle queue: who waits, for how long, what was decided and why, and what runs."""

from typing import Any

from grafana.looks import (
    ANY,
    CLASSES,
    DECISIONS,
    NO_SAMPLES,
    PLAIN,
    SITTING,
    SOME,
    by_pattern,
    coloured,
    dashed,
    look,
    named,
    renamed,
    said,
    steps_of,
    thresholds,
)
from grafana.panels import (
    grid,
    link,
    number,
    row,
    series,
    target,
)
from grafana.queries import (
    FLEET,
    HOUR,
    LIMITS,
    NONE,
    STATES,
    TOP,
    WAITING,
    WAITING_PEOPLE,
    ZERO,
    alive,
    biggest,
    each,
    grown_most,
    lately,
    level,
    most,
    otherwise,
    quantile,
    summed,
)

REASONS = {
    "no_headroom": ("not enough left", "yellow"),
    "throttled": ("throttled", "dark-yellow"),
    "paced": ("paced", "blue"),
    "paused": ("paused", "orange"),
    "exhausted": ("exhausted", "red"),
    "concurrency": ("all leases run", "purple"),
    "provider_throttled": ("refused by the provider", "semi-dark-purple"),
    "held": ("held by hand", "text"),
    "catching_up": ("usage is being read", "light-blue"),
}
"""What the reasons to wait are called, and their colours."""
PATIENT: Any = ((None, "green"), (3600, "yellow"), (86400, "orange"))
"""Seconds that what nobody sits and waits for may wait."""
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
    others = f'time() - min by (class) (quota_queue_oldest_timestamp_seconds{{{FLEET},class!="interactive"}})'
    nobody = {NONE: ("nobody waits", "green")}
    return [
        number(
            "Waiting now",
            "Everybody who waits in the throttle queue.",
            otherwise(f"sum({WAITING})"),
            look("none", SOME, decimals=0, words={NONE: ("not known yet", "text")}),
            width=4,
        ),
        number(
            "Longest wait, interactive",
            "How long the oldest ticket of somebody who sits and waits has waited.",
            otherwise(WAITING_PEOPLE),
            look("s", SITTING, decimals=0, words=nobody),
            width=4,
        ),
        number(
            "Longest wait, others",
            "How long the oldest ticket of the class that has waited longest has waited, interactive aside.",
            otherwise(f"topk(1, {others})", "nobody"),
            look("s", PATIENT, decimals=0, words={NONE: ("waits", "green")}),
            width=4,
            legend="{{class}}{{none}}",
            by_name=True,
        ),
        number(
            "Running now",
            "Leases that run, of all providers.",
            f"sum({most('quota_concurrency_in_use', 'provider', FLEET)}) or {ZERO}",
            look("none", PLAIN, decimals=0),
        ),
        *(
            number(
                f"{title}, last hour",
                text,
                alive(f'sum(increase({DECIDED}{{{LIMITS},decision="{decision}"}}[{HOUR}]))') + f" or {ZERO}",
                look("none", steps, decimals=0),
            )
            for title, text, decision, steps in (
                ("Admitted", "Tickets that were let start.", "admit", ((None, "green"),)),
                ("Deferred", "Verdicts that said: wait.", "defer", SOME),
                ("Rejected", "Tickets that can never run as asked.", "reject", ANY),
            )
        ),
    ]


def _waiting() -> list[Any]:
    oldest = f"time() - min by (class) ({each('quota_queue_oldest_timestamp_seconds', FLEET)})"
    return [
        series(
            "Waiting by reason",
            "Everybody who waits, by the reason that their verdict would have now. Paced: it would fit, and somebody "
            "ahead or expected is left room.",
            8,
            [target(f"max by (reason) (quota_queue_held{{{FLEET}}})", "{{reason}}")],
            look("none", PLAIN, decimals=0, min_val=0, empty=NO_SAMPLES),
            overrides=renamed({reason: (color, text) for reason, (text, color) in REASONS.items()}),
            stacked=True,
            fill=40,
        ),
        series(
            "Waiting by class",
            "Everybody who waits, by priority class.",
            8,
            [target(WAITING, "{{class}}")],
            look("none", PLAIN, decimals=0, min_val=0, empty=NO_SAMPLES),
            overrides=coloured(CLASSES),
            fill=20,
        ),
        series(
            "Longest wait by class",
            "How long the oldest waiting ticket of each class has waited.",
            8,
            [target(oldest, "{{class}}")],
            look("s", PLAIN, min_val=0, empty="nobody waits"),
            overrides=coloured(CLASSES),
        ),
        _holders(),
    ]


def _holders() -> Any:
    held = f"sum by (limit, reason) ({each('quota_tickets_held')})"
    until = f"min by (limit, reason) ({each('quota_tickets_held_until_timestamp_seconds')}) - time()"
    oldest = f"time() - min by (limit, reason) ({each('quota_tickets_held_oldest_timestamp_seconds')})"
    stands = f"0 * {held} + on (limit) group_left () {level()}"
    people = each("quota_tickets_held", LIMITS + ',class="interactive"')
    words = {"mappings": named(STATES), "thresholds": thresholds(steps_of(STATES)), "custom__align": "left"}
    text = {"type": "color-text"}
    return grid(
        "What holds them",
        "The limits that do not let waiting tickets start now, and why, as verdicts name them; a ticket that several "
        "hold is counted in each. Earliest change: when the first of them could start, as far as this limit goes: its "
        "reset, or the next look where a run has to end. One ticket is explained by quota-scheduler queue explain.",
        (24, 9),
        ("limit", "Limit"),
        [
            ("Reason", "", {"mappings": said(REASONS), "custom__cellOptions": text, "custom__align": "left"}),
            ("Waiting", held, {"decimals": 0, "custom__width": 110}),
            ("Of them interactive", f"sum by (limit, reason) ({people})", {"decimals": 0, "custom__width": 160}),
            ("Oldest has waited", oldest, {"unit": "s", "decimals": 1, "custom__width": 170}),
            ("Earliest change in", until, {"unit": "s", "decimals": 1, "custom__width": 170}),
            ("Level", stands, words | {"custom__cellOptions": text, "custom__width": 140}),
        ],
        sort=[("Waiting", True)],
        facts=("", {"reason": "Reason"}),
        key_look={"links": [link("Limit detail", "quota-limit", "limit", "${__value.text:percentencode}")]},
        empty="nobody is held by a limit, or the service is down",
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
            "Why tickets were told to wait or never to run when that was decided; who waits now, and why, stands "
            "above. The codes are explained in the reference.",
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
