"""Whether the service takes work, who leads, and what lies on its disk while a database on a server is away."""

from typing import Any

from grafana.looks import ANY, PLAIN, by_pattern, look
from grafana.panels import series, target
from grafana.queries import FLEET, HOUR, RATE, alive, lately

LATE_SECONDS = 60
"""Figures older than this are late, as the panel of their age has it."""


def panels() -> list[Any]:
    """Both lines, in reading order."""
    return [*_work(), *_spool()]


def _work() -> list[Any]:
    late = f"time() - quota_scheduler_snapshot_timestamp_seconds{{{FLEET}}}"
    reasons = (
        (f"sum(1 - quota_scheduler_database_up{{{FLEET}}})", "database away"),
        (f"sum(quota_scheduler_rules_differ{{{FLEET}}})", "configured otherwise than the leader"),
        (f"max(({late}) > bool {LATE_SECONDS})", "figures late"),
        (f"sum(rate(quota_scheduler_writes_refused_total{{{FLEET}}}[{RATE}]) > bool 0)", "writes refused"),
        (f"sum(quota_scheduler_held{{{FLEET}}})", "everything held by hand"),
    )
    takeovers = alive(f"sum(increase(quota_scheduler_takeovers_total{{{FLEET}}}[{HOUR}]))")
    turned_back = (
        ("quota_scheduler_failed_answers_total", "answers failed (5xx)"),
        ("quota_scheduler_writes_refused_total", "writes refused by the database"),
        ("quota_scheduler_slowed_requests_total", "requests slowed (429)"),
    )
    return [
        series(
            "What keeps it from work",
            "On how many replicas, of late figures whether there are any. Such a replica is not ready, but for a hold "
            "by hand; /readyz says why in sentences.",
            8,
            [target(expr, name) for expr, name in reasons],
            look("none", ANY, decimals=0, min_val=0, empty="service is down"),
        ),
        series(
            "Replicas",
            "How many share the database, by whether they are configured as the leader is, and how often in the last "
            "hour one took the lead over.",
            8,
            [
                target(f"max by (rules) (quota_scheduler_replicas{{{FLEET}}})", "{{rules}}"),
                target(takeovers, "lead taken over, last hour"),
            ],
            look("none", PLAIN, decimals=0, min_val=0, empty="service is down"),
            overrides=[by_pattern("/^differs$/", custom__lineWidth=3)],
        ),
        series(
            "Turned back, last hour",
            "Answers that failed, transactions that the database did not take, and requests of tokens that ask too "
            "often.",
            8,
            [target(alive(f"sum(increase({metric}{{{FLEET}}}[{HOUR}]))"), name) for metric, name in turned_back],
            look("none", ANY, decimals=0, min_val=0, empty="service is down"),
        ),
    ]


def _spool() -> list[Any]:
    oldest = f"quota_scheduler_spool_oldest_timestamp_seconds{{{FLEET}}}"
    return [
        series(
            "Usage that waits on the disk",
            "What was pushed while a database on a server was away, by replica; it is recorded once that is back.",
            8,
            [target(f"quota_scheduler_spool_bytes{{{FLEET}}}", "{{instance}}")],
            look("bytes", ANY, decimals=0, min_val=0, empty="service is down"),
        ),
        series(
            "For how long it waits",
            "How old the oldest of it is, 0 where nothing waits.",
            8,
            [target(f"(time() - {oldest}) * ({oldest} > bool 0)", "{{instance}}")],
            look(
                "s", ((None, "green"), (300, "orange"), (3600, "red")), decimals=0, min_val=0, empty="service is down"
            ),
        ),
        series(
            "What became of it, last hour",
            "Deliveries of usage while the database was away: kept, replayed, refused for want of room, unreadable by "
            "this version.",
            8,
            [target(lately("quota_scheduler_spooled_total", "outcome", FLEET, HOUR), "{{outcome}}")],
            look("none", PLAIN, decimals=0, min_val=0, empty="service is down"),
        ),
    ]
