"""The service itself: is it up, is it current, do its tasks and notifications work, what does it cost."""

from typing import Any

from grafana import ready
from grafana.looks import (
    ANY,
    PLAIN,
    by_pattern,
    coloured,
    fixed,
    look,
    said,
)
from grafana.panels import (
    bars,
    grid,
    number,
    row,
    series,
    target,
)
from grafana.queries import FLEET, HOUR, NONE, RATE, ZERO, alive, lately, most, otherwise, quantile, summed

UP_DOWN = (("down", "red"), ("up", "green"))
OPERATIONS = {"read": "green", "write": "blue", "commit": "orange"}
LAG: Any = ((None, "green"), (300, "orange"), (1800, "red"))
SEVERITIES = {"critical": "red", "warning": "orange", "info": "blue"}


def panels() -> list[Any]:
    """All of it, in reading order."""
    return [
        *_now(),
        row("Work, replicas and the spool"),
        *ready.panels(),
        row("Tasks"),
        *_tasks(),
        row("Usage in"),
        *_sources(),
        row("Alerts and notifications"),
        *_notifications(),
        row("Database and process"),
        *_process(),
    ]


def _now() -> list[Any]:
    failed = alive(f"sum(increase(quota_scheduler_task_failures_total{{{FLEET}}}[{HOUR}]))")
    outbox = f"time() - max(quota_notification_outbox_oldest_timestamp_seconds{{{FLEET}}})"
    return [
        number(
            "Leaders",
            "Processes that run the ticks: one is right. None: nothing is computed. Two: a split.",
            f"sum(quota_scheduler_leader{{{FLEET}}})",
            look("none", ((None, "red"), (1, "green"), (2, "red")), decimals=0),
        ),
        number(
            "Age of the figures",
            "How long ago the exported figures were computed, on the replica where that is longest ago; they are "
            "renewed with every tick.",
            f"time() - min(quota_scheduler_snapshot_timestamp_seconds{{{FLEET}}})",
            look("s", ((None, "green"), (60, "orange"), (300, "red")), decimals=0),
        ),
        number(
            "Database",
            "Whether the last check of the database passed, on every replica.",
            f"min(quota_scheduler_database_up{{{FLEET}}})",
            look("none", ((None, "red"), (1, "green")), values=UP_DOWN),
        ),
        number(
            "Failed tasks, last hour",
            "Runs of scheduled tasks that ended with an error.",
            f"{failed} or {ZERO}",
            look("none", ANY, decimals=0),
        ),
        number(
            "Furthest behind",
            "The origin of usage that is furthest behind its files or its interface.",
            otherwise(f"max({most('quota_source_lag_seconds', 'source', FLEET)})"),
            look("s", LAG, decimals=0, words={NONE: ("no source is read", "text")}),
        ),
        number(
            "Notification owed",
            "How long the oldest undelivered notification has waited.",
            otherwise(outbox),
            look(
                "s",
                ((None, "green"), (60, "orange"), (600, "red")),
                decimals=0,
                words={NONE: ("none is owed", "green")},
            ),
        ),
        number(
            "Running since",
            "When the process that started last came up.",
            otherwise(f"1000 * max(process_start_time_seconds{{{FLEET}}})"),
            look("dateTimeFromNow", words={NONE: ("not on this system", "text")}),
        ),
        number(
            "Version",
            "The version that runs; several names mean that replicas differ.",
            f"max by (version) (quota_scheduler_build_info{{{FLEET}}})",
            look("none", PLAIN, decimals=0, words={1: ("runs", "blue")}),
            legend="{{version}}",
            by_name=True,
        ),
    ]


def _tasks() -> list[Any]:
    runs, failures = "quota_scheduler_task_runs_total", "quota_scheduler_task_failures_total"
    return [
        series(
            "Task runs per minute",
            "Runs of each scheduled task, over all replicas.",
            12,
            [target(f"60 * {summed(runs, 'task')}", "{{task}}")],
            look("none", PLAIN, decimals=1, min_val=0, empty="service is down"),
        ),
        series(
            "Failed and skipped runs, last hour",
            "Runs that ended with an error, and runs that did not happen (missed, or the one before "
            "was still running).",
            12,
            [
                target(lately(failures, "task", FLEET, HOUR), "{{task}} failed"),
                target(
                    f"{lately('quota_scheduler_task_skipped_total', 'task, reason', FLEET, HOUR)} > 0",
                    "{{task}} {{reason}}",
                ),
            ],
            look("none", ANY, decimals=0, min_val=0, empty="service is down"),
            overrides=[by_pattern("/ failed$/", custom__lineWidth=3)],
        ),
        series(
            "Task duration, p90",
            "Nine of ten runs take less. The tick must stay well below its interval.",
            12,
            [target(quantile(0.9, "quota_scheduler_task_duration_seconds", "task"), "{{task}}")],
            look("s", ((None, "green"), (2, "orange")), min_val=0, empty="service is down"),
        ),
        bars(
            "Since the last success",
            "How long ago each task last ran to its end.",
            12,
            f"time() - max by (task) (quota_scheduler_task_last_success_timestamp_seconds{{{FLEET}}})",
            "{{task}}",
            look("s", ((None, "green"), (300, "orange"), (4000, "red")), decimals=0, min_val=0),
        ),
    ]


def _sources() -> list[Any]:
    apart = (
        ("quota_backfilled_tokens_total", "{{provider}} over an hour late"),
        ("quota_late_usage_tokens_total", "{{provider}} into closed windows"),
        ("quota_unpriced_tokens_total", "{{provider}} without a price"),
        ("quota_unlisted_tokens_total", "{{provider}} beyond listed calls"),
    )
    bad = (
        ("quota_source_errors_total", "source", "{{source}} unusable lines"),
        ("quota_skewed_events_total", "provider", "{{provider}} clock ahead"),
        ("quota_partial_answers_total", "source", "{{source}} interrupted answers"),
    )
    return [
        series(
            "Source lag",
            "How far each origin of usage is behind.",
            6,
            [target(most("quota_source_lag_seconds", "source", FLEET), "{{source}}")],
            look("s", LAG, min_val=0, empty="no source is read"),
        ),
        series(
            "Newest usage",
            "How old the newest usage of each provider is. Old while runs are on means that usage does not arrive.",
            6,
            [target(f"time() - max by (provider) (quota_last_usage_timestamp_seconds{{{FLEET}}})", "{{provider}}")],
            look("s", PLAIN, decimals=0, min_val=0, empty="no usage yet"),
        ),
        series(
            "Unusable, last hour",
            "Lines of a source that could not be read, and events whose clock was ahead of ours.",
            6,
            [target(lately(metric, by, FLEET, HOUR, "max"), name) for metric, by, name in bad],
            look("none", ANY, decimals=0, min_val=0, empty="nothing"),
        ),
        series(
            "Late and unpriced, last hour",
            "Tokens that came over an hour after their own time (no rate counts them), into windows already closed, or "
            "whose model has no known price.",
            6,
            [target(lately(metric, "provider", FLEET, HOUR, "max"), name) for metric, name in apart],
            look("short", PLAIN, min_val=0, empty="nothing"),
        ),
    ]


def _notifications() -> list[Any]:
    failures = f"{lately('quota_notification_failures_total', 'target, reason', FLEET, HOUR)} > 0"
    severities = [by_pattern(f"/\\({name}\\)$/", color=fixed(color)) for name, color in SEVERITIES.items()]
    firing = f"{most('quota_alerts_firing', 'alert, severity', FLEET)} > 0"
    colors = said({name: (name, color) for name, color in SEVERITIES.items()})
    return [
        grid(
            "Which alerts fire",
            "Alerts that fire in the service now. Which limits they are about is told by quota-scheduler alerts list.",
            (8, 9),
            ("alert", "Alert"),
            [
                ("Severity", "", {"mappings": colors, "custom__cellOptions": {"type": "color-text"}}),
                ("Firing", firing, {"decimals": 0, "custom__width": 80}),
            ],
            sort=[("Firing", True)],
            facts=("", {"severity": "Severity"}),
            empty="no alert fires, or the service is down",
        ),
        series(
            "Alerts over time",
            "Alerts that fired in the service, with their severity.",
            16,
            [target(firing, "{{alert}} ({{severity}})")],
            look("none", PLAIN, decimals=0, min_val=0, empty="no alert fires"),
            overrides=severities,
            stacked=True,
            fill=30,
        ),
        series(
            "Deliveries, last hour",
            "Attempts to deliver by target, and those that failed with their reason.",
            12,
            [
                target(lately("quota_notifications_total", "target", FLEET, HOUR), "{{target}}"),
                target(failures, "{{target}} failed: {{reason}}"),
            ],
            look("none", PLAIN, decimals=0, min_val=0, empty="no receiver is configured"),
            overrides=[by_pattern("/ failed: /", color=fixed("red"))],
        ),
        series(
            "Delivery time, p90",
            "Nine of ten deliveries of the last hour took less.",
            12,
            [target(quantile(0.9, "quota_notification_duration_seconds", "target", HOUR), "{{target}}")],
            look("s", ((None, "green"), (5, "orange")), min_val=0, empty="nothing was delivered in the last hour"),
        ),
    ]


def _process() -> list[Any]:
    query = "quota_scheduler_database_query_duration_seconds"
    cpu = f"rate(process_cpu_seconds_total{{{FLEET}}}[{RATE}])"
    return [
        series(
            "Database time, p99",
            "Of a view (read), of a transaction (write), and of the wait for the disk at its end (commit).",
            6,
            [target(quantile(0.99, query, "operation"), "{{operation}}")],
            look("s", ((None, "green"), (0.5, "orange")), min_val=0, empty="service is down"),
            overrides=coloured(OPERATIONS),
        ),
        series(
            "Database operations per second",
            "Views and transactions, over all replicas.",
            6,
            [target(summed(f"{query}_count", "operation"), "{{operation}}")],
            look("none", PLAIN, decimals=1, min_val=0, empty="service is down"),
            overrides=coloured(OPERATIONS),
        ),
        series(
            "CPU",
            "Of one core, by replica.",
            6,
            [target(cpu, "{{instance}}")],
            look("percentunit", ((None, "green"), (0.8, "orange")), min_val=0, empty="not on this system"),
        ),
        series(
            "Memory",
            "What each replica holds in RAM.",
            6,
            [target(f"process_resident_memory_bytes{{{FLEET}}}", "{{instance}}")],
            look("bytes", PLAIN, decimals=0, min_val=0, empty="not on this system"),
        ),
    ]
