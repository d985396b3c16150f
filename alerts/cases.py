"""When each Prometheus alert fires, and when it does not: the cases of ``promtool test rules``.

A case is the series that are there (promtool's notation: start, step, count), an instant, and what fires then: the
labels that survive, and what the texts make of the value. Time begins at 0.
"""

from dataclasses import dataclass

JOB = {"job": "quota-scheduler"}
Fires = tuple[tuple[dict[str, str], str], ...]


@dataclass(frozen=True, slots=True)
class Case:
    """What one alert does at one instant."""

    alert: str
    says: str
    at: str
    series: tuple[tuple[str, str], ...]
    fires: Fires = ()


def of(metric: str, values: str, instance: str = "a", **labels: str) -> tuple[str, str]:
    """A series of the service."""
    pairs = {**JOB, "instance": instance, **{name.rstrip("_"): value for name, value in labels.items()}}
    inside = ",".join(f'{name}="{value}"' for name, value in pairs.items())
    return f"{metric}{{{inside}}}", values


def on(value: str, **labels: str) -> Fires:
    """One alert with these labels."""
    return (({**JOB, **labels}, value),)


def used(values: str, limit: str = "week", instance: str = "a") -> tuple[str, str]:
    """How full a limit is."""
    return of("quota_usage_ratio", values, instance, limit=limit)


def a_window(hours: int) -> tuple[tuple[str, str], ...]:
    """A window that began at 0."""
    return (
        of("quota_window_start_timestamp_seconds", "0x200", limit="week"),
        of("quota_window_end_timestamp_seconds", f"{hours * 3600}x200", limit="week"),
    )


def burning(
    speed: str, rate: float, *, short: float, remaining: float = 2.0, ratio: float = 0.5, hours: int = 168
) -> tuple[tuple[str, str], ...]:
    """A window that burns at these rates."""
    rates = {f"{speed}_long": rate, f"{speed}_short": short}
    return (
        *a_window(hours),
        *(of("quota_burn_rate_ratio", f"{value}x40", limit="week", lookback=name) for name, value in rates.items()),
        of("quota_remaining_burn_ratio", f"{remaining}x40", limit="week", lookback=f"{speed}_long"),
        used(f"{ratio}x40"),
    )


def the_cache(
    limit: str, rate: float, baseline: float, *, tokens_a_minute: int = 20_000
) -> tuple[tuple[str, str], ...]:
    """A limit whose cache works so well now, and did before."""
    return (
        of("quota_cache_hit_ratio", f"{rate}x150", limit=limit, lookback="1d"),
        of("quota_cache_hit_baseline_ratio", f"{baseline}x150", limit=limit),
        of("quota_consumed_tokens_total", f"0+{tokens_a_minute}x150", limit=limit, model="m", kind="cache_read"),
        of("quota_consumed_tokens_total", "0+9999999x150", limit=limit, model="m", kind="output"),
    )


CACHES = (
    *the_cache("halved", 0.5, 0.8),
    *the_cache("broken", 0.88, 0.95),
    *the_cache("nearly", 0.89, 0.91),
    *the_cache("small", 0.5, 0.8, tokens_a_minute=6_000),
)
COVERAGES = tuple(
    of("quota_forecast_coverage_ratio", f"{value}x400", limit=name)
    for name, value in (("narrow", 0.6), ("wide", 0.95), ("right", 0.8))
)


def waiting(*, open_: int, since: int = 0, count: int = 200) -> tuple[tuple[str, str], ...]:
    """An hour's window with a ticket that came in at an instant, in a limit that is open or not."""
    return (
        *a_window(1),
        of("quota_tickets_oldest_timestamp_seconds", f"{since}x{count}", limit="week", class_="low"),
        of("quota_state", f"{open_}x{count}", limit="week", state="open"),
        of("quota_state", f"{1 - open_}x{count}", limit="week", state="throttled"),
    )


def decisions(admitted: str, rejected: str) -> tuple[tuple[str, str], ...]:
    """Admission decisions as they are counted."""
    return (
        of("quota_admission_decisions_total", admitted, limit="week", decision="admit", reason="fits"),
        of("quota_admission_decisions_total", rejected, limit="week", decision="reject", reason="never_fits"),
    )


def deliveries(all_: str, failed: str, reason: str = "error") -> tuple[tuple[str, str], ...]:
    """Attempts to deliver."""
    return (
        of("quota_notifications_total", all_, target="ops"),
        of("quota_notification_failures_total", failed, target="ops", reason=reason),
    )


def durations(quick: str, all_: str) -> tuple[tuple[str, str], ...]:
    """Decisions within 0.1 s, and all of them within half a second."""
    return tuple(
        of("quota_admission_duration_seconds_bucket", values, decision="admit", le=edge)
        for edge, values in (("0.1", quick), ("0.5", all_), ("+Inf", all_))
    )


WEEK = {"limit": "week"}

LIMITS = (
    Case("QuotaExhausted", "at its mark, seen by two replicas, once", "0m",
         (used("1x10"), used("1x10", instance="b"), used("0.99x10", "other")), on("100%", **WEEK)),
    Case("QuotaExhausted", "a service that stops, and a window that was reset, are no all-clear", "10m",
         (used("1x3 stale"), used("1x3 0x20", "day")), (*on("100%", **WEEK), *on("100%", limit="day"))),
    Case("QuotaExhausted", "over ten minutes after the reset", "15m", (used("1x3 0x20"),)),
    Case("QuotaNearlyExhausted", "after two minutes", "2m", (used("0.95x10"),), on("95%", **WEEK)),
    Case("QuotaNearlyExhausted", "not at once, not below, not when nothing is left", "1m",
         (used("0.95x10"), used("0.94x10", "low"), used("1x10", "full"))),
    Case("QuotaUsageHigh", "after two minutes", "2m", (used("0.8x10"),), on("80%", **WEEK)),
    Case("QuotaUsageHigh", "not below, not when the next rung has it", "5m",
         (used("0.79x10", "low"), used("0.95x10", "nearly"))),
    Case("QuotaBurnFast", "a week at 6 times the pace", "2m", burning("fast", 6.16, short=7), on("1.1", **WEEK)),
    Case("QuotaBurnFast", "five hours at 5 times the pace: the factor follows the length", "2m",
         burning("fast", 4.95, short=7, hours=5), on("1.1", **WEEK)),
    Case("QuotaBurnFast", "not where it lasts", "5m", burning("fast", 9, short=9, remaining=1)),
    Case("QuotaBurnFast", "not where the last minutes were quiet", "5m", burning("fast", 9, short=5)),
    Case("QuotaBurnFast", "not where nearly nothing is used", "5m", burning("fast", 9, short=9, ratio=0.19)),
    Case("QuotaBurnFast", "a day at 6 times the pace is not fast", "5m", burning("fast", 6, short=7, hours=24)),
    Case("QuotaBurnSlow", "a week at 3 times the pace", "15m", burning("slow", 3.08, short=4), on("1.1", **WEEK)),
    Case("QuotaBurnSlow", "not at once", "14m", burning("slow", 3.08, short=4)),
    Case("QuotaForecastOverLimit", "the expected value counts, after half an hour", "30m",
         (of("quota_forecast_usage_ratio", "1.2x40", limit="week", estimate="expected"),
          of("quota_forecast_usage_ratio", "1.5x40", limit="wide", estimate="high"),
          of("quota_risk", "0x40", limit="week", risk="unknown")), on("120%", **WEEK)),
    Case("QuotaForecastOverLimit", "not under seven days of history", "40m",
         (of("quota_forecast_usage_ratio", "1.2x40", limit="week", estimate="expected"),
          of("quota_risk", "1x40", limit="week", risk="unknown"))),
    Case("QuotaReservationsOvercommitted", "more is promised than there is", "15m",
         (of("quota_committed_ratio", "1.2x20", limit="week"), used("0.9x20")), on("120%", **WEEK)),
    Case("QuotaReservationsOvercommitted", "an exhausted limit has its own alert", "15m",
         (of("quota_committed_ratio", "1.2x20", limit="week"), used("1.1x20"))),
    Case("QuotaReservationsLeaking", "leases expire, and replicas are not added up", "60m",
         (of("quota_leases_expired_total", "0+0.1x60", limit="week"),
          of("quota_leases_expired_total", "0+0.1x60", "b", limit="week")), on("6", **WEEK)),
    Case("QuotaReservationsLeaking", "a few are normal", "60m",
         (of("quota_leases_expired_total", "0+0.05x60", limit="week"),
          of("quota_leases_expired_total", "0+0.05x60", "b", limit="week"))),
    Case("QuotaCacheHitDropped", "under 70 % of the usual, or from over 90 % by three points, with traffic", "120m",
         CACHES, (*on("50%", limit="halved"), *on("88%", limit="broken"))),
    Case("QuotaCacheHitDropped", "not before an hour", "100m", CACHES),
    Case("QuotaWorkflowOverBudget", "a run passed its budget", "10m",
         (of("quota_workflows_over_budget_total", "0x5 1x60", task_type="testing"),),
         on("1", task_type="testing")),
    Case("QuotaWorkflowOverBudget", "what passed it yesterday is told", "90m",
         (of("quota_workflows_over_budget_total", "0x5 1x120", task_type="testing"),)),
    Case("QuotaDeferredStuck", "over two windows of a limit that holds it", "136m",
         waiting(open_=0), on("2h 16m 0s", **WEEK)),
    Case("QuotaDeferredStuck", "one window is what a limit is for", "110m", waiting(open_=0)),
    Case("QuotaDeferredStuck", "an hour although nothing holds anything", "60m",
         waiting(open_=1), on("1h 0m 0s", **WEEK)),
    Case("QuotaDeferredStuck", "another limit may hold it", "60m",
         (*waiting(open_=1), of("quota_state", "0x150", limit="day", state="open"))),
    Case("QuotaExhausted", "all leases may be in use", "10m",
         (of("quota_usage_ratio", "1x20", limit="runs"), of("quota_leases_limit", "5x20", limit="runs"))),
    Case("QuotaDeferredStuck", "all leases may be in use", "60m",
         (*waiting(open_=1), of("quota_leases_active", "5x150", limit="runs"),
          of("quota_leases_limit", "5x150", limit="runs"))),
    Case("QuotaAdmissionRejecting", "most are rejected", "30m", decisions("0+1x40", "0+3x40"), on("75%")),
    Case("QuotaAdmissionRejecting", "half is no emergency", "30m", decisions("0+3x40", "0+3x40")),
    Case("QuotaAdmissionRejecting", "nine decisions are too few", "30m", decisions("0x40", "0+0.5x40")),
    Case("QuotaUsageDataStale", "a source that lags", "15m",
         (of("quota_source_lag_seconds", "1200x20", source="claude_code"),), on("20m 0s", source="claude_code")),
    Case("QuotaUsageDataStale", "a provider whose runs go on in silence", "136m",
         (of("quota_last_usage_timestamp_seconds", "0x140", provider="anthropic"),
          of("quota_concurrency_in_use", "2x140", provider="anthropic")),
         on("2h 16m 0s", provider="anthropic")),
    Case("QuotaUsageDataStale", "nobody works at night, and a run has just begun", "136m",
         (of("quota_source_lag_seconds", "900x140", source="claude_code"),
          of("quota_last_usage_timestamp_seconds", "0x140", provider="anthropic"),
          of("quota_concurrency_in_use", "0x120 1x20", provider="anthropic"))),
    Case("QuotaForecastMiscalibrated", "too narrow or too wide", "6h", COVERAGES,
         (*on("60%", limit="narrow"), *on("95%", limit="wide"))),
    Case("QuotaForecastMiscalibrated", "not before six hours", "359m", COVERAGES),
)  # fmt: skip

OWN = tuple(
    case
    for name, rule in (
        ("QuotaExpiringUnused", "expiring_unused"), ("QuotaCacheLow", "cache_low"), ("QuotaRunOverCap", "run_over_cap"),
        ("QuotaHighUsageRun", "high_usage_run"), ("QuotaUnpricedUsage", "unpriced_usage"),
        ("QuotaProviderRefuses", "provider_refuses"),
        ("QuotaUsedElsewhere", "used_elsewhere"),
        ("QuotaProviderChanged", "provider_changed"),
        ("QuotaProviderSilent", "provider_silent"),
    )
    for case in (
        Case(name, "while the service says so", "1m",
             (of("quota_alerts_firing", "2x10", alert=rule, severity="critical"),
              of("quota_alerts_firing", "2x10", "b", alert=rule, severity="critical")), on("", alert=rule)),
        Case(name, "not for another rule", "1m",
             (of("quota_alerts_firing", "2x10", alert="usage_high", severity="warning"),)),
    )
)  # fmt: skip

THE_SERVICE = (
    Case("QuotaSchedulerDown", "no replica is left", "8m", (of("up", "1x2 0x10"), of("up", "1x5 0x10", "b")), on("")),
    Case("QuotaSchedulerDown", "one replica of two is enough", "5m", (of("up", "1x2 0x10"), of("up", "1x10", "b"))),
    Case("QuotaSchedulerDown", "a target that is not there at all", "2m",
         (('up{job="something-else",instance="a"}', "1x10"),), (({}, ""),)),
    Case("QuotaSchedulerSnapshotStale", "not renewed by anybody", "6m",
         (of("quota_scheduler_snapshot_timestamp_seconds", "0x10"),
          of("quota_scheduler_snapshot_timestamp_seconds", "0 60 120x10", "b")), on("4m 0s")),
    Case("QuotaSchedulerSnapshotStale", "B1: computed by a clock that was ahead", "6m",
         (of("quota_scheduler_snapshot_timestamp_seconds", "600x10"),), on("4m 0s")),
    Case("QuotaSchedulerSnapshotStale", "one replica is behind", "6m",
         (of("quota_scheduler_snapshot_timestamp_seconds", "0x10"),
          of("quota_scheduler_snapshot_timestamp_seconds", "0+60x10", "b"))),
    Case("QuotaSchedulerNoLeader", "two followers", "2m",
         (of("quota_scheduler_leader", "0x10"), of("quota_scheduler_leader", "0x10", "b")), on("")),
    Case("QuotaSchedulerNoLeader", "a leader and a follower", "5m",
         (of("quota_scheduler_leader", "1x10"), of("quota_scheduler_leader", "0x10", "b"))),
    Case("QuotaSchedulerManyLeaders", "two leaders", "1m",
         (of("quota_scheduler_leader", "1x10"), of("quota_scheduler_leader", "1x10", "b")), on("2")),
    Case("QuotaSchedulerManyLeaders", "a leader and a follower", "5m",
         (of("quota_scheduler_leader", "1x10"), of("quota_scheduler_leader", "0x10", "b"))),
    Case("QuotaSchedulerTaskFailing", "no success for ten minutes", "11m",
         (of("quota_scheduler_task_last_success_timestamp_seconds", "0x20", task="tick"),
          of("quota_scheduler_task_last_success_timestamp_seconds", "0x20", task="prune")), on("", task="tick")),
    Case("QuotaSchedulerTaskFailing", "never a success", "15m",
         (of("quota_scheduler_task_failures_total", "0+1x20", task="read"),), on("", task="read")),
    Case("QuotaSchedulerTaskFailing", "one failure among successes", "15m",
         (of("quota_scheduler_task_failures_total", "0x3 1x20", task="tick"),
          of("quota_scheduler_task_last_success_timestamp_seconds", "0+60x20", task="tick"))),
    Case("QuotaSchedulerTaskOverrunning", "skipped again and again", "30m",
         (of("quota_scheduler_task_skipped_total", "0+1x40", task="tick", reason="overlap"),), on("30", task="tick")),
    Case("QuotaSchedulerTaskOverrunning", "a long first read is none, a few neither", "30m",
         (of("quota_scheduler_task_skipped_total", "0+1x40", task="read", reason="overlap"),
          of("quota_scheduler_task_skipped_total", "0+0.08x40", task="tick", reason="overlap"))),
    Case("QuotaSchedulerDatabaseDown", "one replica cannot reach it", "2m",
         (of("quota_scheduler_database_up", "0x10"), of("quota_scheduler_database_up", "1x10", "b")), on("")),
    Case("QuotaSchedulerDatabaseDown", "a moment", "3m", (of("quota_scheduler_database_up", "1 0 1x10"),)),
    Case("QuotaAdmissionSlow", "half of the decisions take long", "20m", durations("0+1x40", "0+2x40"), on("492ms")),
    Case("QuotaAdmissionSlow", "all are quick", "20m", durations("0+2x40", "0+2x40")),
    Case("QuotaNotificationsFailing", "every second one fails", "20m", deliveries("0+2x40", "0+1x40"),
         on("", target="ops")),
    Case("QuotaNotificationsFailing", "an address that no service takes", "20m",
         deliveries("0+20x40", "0+1x40", "nomatch"), on("", target="ops")),
    Case("QuotaNotificationsFailing", "one of ten", "20m", deliveries("0+10x40", "0+1x40")),
    Case("QuotaNotificationBacklog", "eleven minutes", "11m",
         (of("quota_notification_outbox_oldest_timestamp_seconds", "0x12"),), on("11m 0s")),
    Case("QuotaNotificationBacklog", "ten minutes", "10m",
         (of("quota_notification_outbox_oldest_timestamp_seconds", "0x12"),)),
    Case("QuotaWatchdog", "always", "0m", (), (({}, ""),)),
)  # fmt: skip

CASES = LIMITS + OWN + THE_SERVICE
