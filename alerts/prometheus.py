"""The rules for Prometheus as values: every number that the service's own rules have too is taken from them.

Replicas expose the same snapshot, so it is aggregated with ``max without (instance)``; live counters are summed.
``alerts/build.py`` writes the files, ``alerts/cases.py`` says when each alert fires and when not.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from quota_scheduler.alert_rules import load_rules
from quota_scheduler.core.alerts.rule import AlertRule, Op
from quota_scheduler.core.alerts.samples import BURN_FLOOR
from quota_scheduler.core.readings.burn import CLASSES

RULES = {rule.id: rule for rule in load_rules()}
GRAFANA = "http://localhost:3000"
"""Where dashboards are, unless ``--grafana`` says otherwise."""
RUNBOOKS = "alerts/runbooks.md"
"""Where runbooks are, unless ``--runbooks`` says otherwise."""
SNAPSHOT_STALE = 180
"""Seconds: with ticks every few seconds this is many of them missed, and more than any usual scrape interval."""
USAGE_SILENT = 7200
"""Seconds without usage of a provider whose runs went on for all of that time."""
TASK_STALE, PRUNE_STALE = 300, 9000
"""Seconds without success: well above 2.5 intervals of the quick tasks, exactly that for the hourly one."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording rule, ``level:metric:operation``."""

    record: str
    expr: str


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule. ``rule`` names the service's own rule that says the same."""

    name: str
    expr: str
    severity: str
    summary: str
    description: str
    hold: str = ""
    keep: str = "10m"
    rule: str = ""
    dashboard: str = "quota-service"
    variable: str = ""


def latest(selector: str, *more: str) -> str:
    """A snapshot metric, once for all replicas; ``more`` labels go too."""
    return f"max without ({', '.join(['instance', *more])}) ({selector})"


def same(rule: str, **changes: str) -> dict[str, str]:
    """What an alert has in common with the service's own rule."""
    return {"severity": RULES[rule].severity.value, "rule": rule} | changes


def mark(rule: AlertRule) -> str:
    """The comparison of a rule, as PromQL writes it."""
    return f"{rule.op.value} {number(rule.threshold)}"


def number(value: float) -> str:
    """A number without exponent and needless digits."""
    return f"{value:.10f}".rstrip("0").rstrip(".")


EACH = "on (job, limit)"
USED = f"({latest('quota_usage_ratio')} unless {EACH} {latest('quota_leases_limit')})"
"""How full a limit is; one on leases is full now and then, and that is normal."""
WINDOW = "limit:quota_window:seconds"
HIT = latest('quota_cache_hit_ratio{lookback="1d"}', "lookback")
BASELINE = latest("quota_cache_hit_baseline_ratio")
EXPECTED = latest('quota_forecast_usage_ratio{estimate="expected"}', "estimate")
OLDEST = "time() - min without (instance, class) (quota_tickets_oldest_timestamp_seconds)"
DECISIONS = "sum by (job) (increase(quota_admission_decisions_total[15m]))"


def factor(speed: str) -> str:
    """The factor of the burn class nearest to a window's length, by steps half-way between them in log length."""
    ordered = sorted(CLASSES, key=lambda each: each.length)
    terms = [number(getattr(ordered[0], speed))]
    for below, above in pairwise(ordered):
        edge = math.sqrt(below.length.total_seconds() * above.length.total_seconds())
        step = round(getattr(above, speed) - getattr(below, speed), 6)
        if step:
            terms.append(f"{number(step)} * ({WINDOW} >= bool {round(edge)})")
    return f"round({' + '.join(terms)}, 0.001)"


def burn(speed: str) -> str:
    """The lower burn rate of a speed's two lookbacks over the factor that alarms: what the service's rule looks at."""
    rates = f'min without (instance, lookback) (quota_burn_rate_ratio{{lookback=~"{speed}_long|{speed}_short"}})'
    return f"{rates} / {EACH} limit:quota_burn_{speed}_factor:ratio"


RECORDINGS = (
    Recording(
        WINDOW,
        f"{latest('quota_window_end_timestamp_seconds')} - {latest('quota_window_start_timestamp_seconds')}",
    ),
    Recording("limit:quota_burn_fast_factor:ratio", factor("fast")),
    Recording("limit:quota_burn_slow_factor:ratio", factor("slow")),
    Recording("limit:quota_burn_fast:ratio", burn("fast")),
    Recording("limit:quota_burn_slow:ratio", burn("slow")),
)


def burning(speed: str) -> str:
    """A window that burns too fast over both lookbacks, will not last, and is not nearly unused."""
    rule = RULES[f"burn_{speed}"]
    remaining = latest(f'quota_remaining_burn_ratio{{lookback="{speed}_long"}}', "lookback")
    return f"""limit:quota_burn_{speed}:ratio {mark(rule)}
and {EACH} {remaining} > 1
and {EACH} {USED} >= {number(BURN_FLOOR)}"""


def cache_dropped() -> str:
    """The service's cache rule, by limit instead of workflow."""
    rule = RULES["cache_drop"]
    high = number(rule.threshold)
    traffic = 'sum by (job, limit) (max without (instance) (increase(quota_consumed_tokens_total{kind!="output"}[1d])))'
    return f"""(
  {HIT} < {EACH} {number(rule.drop_share)} * {BASELINE}
  or {HIT} < {high}
     and {EACH} {BASELINE} >= {high}
     and {EACH} {HIT} < {EACH} {BASELINE} - {number(rule.drop_points)}
)
and {EACH} {traffic} >= {number(rule.evidence)}"""


def stuck() -> str:
    """Too many windows passed, or nothing at all holds anything back."""
    windows, free = RULES["deferred_too_long"], RULES["deferred_without_cause"]
    return f"""(
  {OLDEST} > {EACH} {number(windows.threshold)} * {WINDOW}
  unless {EACH} {latest('quota_state{state="open"}', "state")} == 1
)
or
(
  {OLDEST} {mark(free)}
  and {EACH} min without (instance, state) (min_over_time(quota_state{{state="open"}}[{free.threshold / 60:g}m])) == 1
  unless on (job) max by (job) (quota_state{{state="open"}} == bool 0) == 1
  unless on (job) max by (job) (quota_leases_active / quota_leases_limit) >= 1
)"""


def stale() -> str:
    """A source that lags, or a provider whose runs go on and of whom nothing is heard."""
    return f"""{latest("quota_source_lag_seconds")} {mark(RULES["source_stale"])}
or
time() - {latest("quota_last_usage_timestamp_seconds")} > {USAGE_SILENT}
and on (job, provider) min without (instance) (min_over_time(quota_concurrency_in_use[{USAGE_SILENT // 60}m])) > 0"""


def task_failing() -> str:
    """Not succeeded for long, or failing without ever having succeeded."""
    success = "quota_scheduler_task_last_success_timestamp_seconds"
    return f"""time() - max by (job, task) ({success}{{task!="prune"}}) > {TASK_STALE}
or time() - max by (job, task) ({success}{{task="prune"}}) > {PRUNE_STALE}
or (
  sum by (job, task) (increase(quota_scheduler_task_failures_total[30m])) > 0
  unless on (job, task) {success}
)"""


def own(rule: str, name: str, description: str, dashboard: str) -> Alert:
    """An alert on what only the service can see, as the service itself says it."""
    assert RULES[rule].op in Op
    return Alert(
        name,
        f'max without (instance, severity) (quota_alerts_firing{{alert="{rule}"}}) > 0',
        RULES[rule].severity.value,
        RULES[rule].texts.summary,
        f"{description} Which: quota-scheduler alerts list.",
        rule=rule,
        dashboard=dashboard,
    )


LIMIT = {"dashboard": "quota-limit", "variable": "limit"}
SHARE = "{{ $value | humanizePercentage }}"
NAME = "{{ $labels.limit }}"
LADDER = ("exhausted", "usage_nearly_exhausted", "usage_high")
ONE, NEARLY, HIGH = (mark(RULES[name]) for name in LADDER)
ABOVE_NEARLY, ABOVE_HIGH = (number(RULES[name].threshold) for name in LADDER[:2])

QUOTA = (
    Alert("QuotaExhausted", f"{USED} {ONE}", **same("exhausted"), **LIMIT,
          summary=f"{NAME} is exhausted",
          description=f"{NAME} has used {SHARE} of its amount; nothing is left until the reset."),
    Alert("QuotaNearlyExhausted", f"{USED} {NEARLY} < {ABOVE_NEARLY}", **same("usage_nearly_exhausted"), **LIMIT,
          hold="2m", summary=f"{NAME} is nearly exhausted", description=f"{NAME} has used {SHARE} of its amount."),
    Alert("QuotaUsageHigh", f"{USED} {HIGH} < {ABOVE_HIGH}", **same("usage_high"), **LIMIT,
          hold="2m", summary=f"{NAME}: usage is high", description=f"{NAME} has used {SHARE} of its amount."),
    Alert("QuotaBurnFast", burning("fast"), **same("burn_fast"), **LIMIT, hold="2m",
          summary=f"{NAME} burns fast",
          description=f"{NAME} burns at {{{{ $value | humanize }}}} times the rate that alarms over hours and minutes, "
          "and runs out before its reset."),
    Alert("QuotaBurnSlow", burning("slow"), **same("burn_slow"), **LIMIT, hold="15m",
          summary=f"{NAME} burns too fast to last",
          description=f"{NAME} burns at {{{{ $value | humanize }}}} times the rate that alarms over many hours, "
          "and runs out before its reset."),
    Alert("QuotaForecastOverLimit",
          f"""{EXPECTED} {mark(RULES["forecast_over_limit"])}
unless {EACH} {latest('quota_risk{risk="unknown"}', "risk")} == 1""",
          **same("forecast_over_limit"), **LIMIT, hold="30m",
          summary=f"{NAME} is forecast to run out",
          description=f"{NAME} is expected to stand at {SHARE} of its amount at the reset."),
    Alert("QuotaReservationsOvercommitted", f"{latest('quota_committed_ratio')} > 1 and {EACH} {USED} < 1",
          "warning", hold="15m", **LIMIT,
          summary=f"{NAME}: more is promised than there is",
          description=f"Used and reserved are {SHARE} of the amount of {NAME}."),
    Alert("QuotaReservationsLeaking",
          "sum by (job, limit) (max without (instance) (increase(quota_leases_expired_total[1h]))) > 5",
          "warning", **LIMIT,
          summary=f"{NAME}: leases expire unsettled",
          description=f"{{{{ $value | humanize }}}} leases of {NAME} expired within an hour: runners die, or "
          "do not release."),
    Alert("QuotaCacheHitDropped", cache_dropped(), **same("cache_drop"), hold="1h", dashboard="quota-efficiency",
          variable="limit", summary=f"{NAME}: cache hit rate dropped",
          description=f"The cache hit rate of {NAME} over the last day is {SHARE}, far below its baseline."),
    Alert("QuotaWorkflowOverBudget",
          "sum by (job, task_type) (max without (instance) (increase(quota_workflows_over_budget_total[1h]))) > 0",
          "warning", dashboard="quota-efficiency",
          summary="Runs of type {{ $labels.task_type }} pass their budget",
          description="{{ $value | humanize }} runs of type {{ $labels.task_type }} passed their budget within "
          "an hour."),
    Alert("QuotaDeferredStuck", stuck(), **same("deferred_too_long"), hold="15m", dashboard="quota-queue",
          variable="limit", summary=f"{NAME}: work waits for too long",
          description=f"The oldest ticket that waits for {NAME} came in {{{{ $value | humanizeDuration }}}} ago."),
    Alert("QuotaAdmissionRejecting",
          f"""sum by (job) (increase(quota_admission_decisions_total{{decision="reject"}}[15m])) / {DECISIONS} > 0.5
and {DECISIONS} >= 10""",
          "warning", hold="10m", dashboard="quota-queue",
          summary="Most tickets are rejected",
          description=f"{SHARE} of the tickets of the last 15 minutes were rejected for good."),
    Alert("QuotaUsageDataStale", stale(), **same("source_stale"), hold="15m",
          summary="Usage of {{ $labels.source }}{{ $labels.provider }} is stale",
          description="Nothing was heard of {{ $labels.source }}{{ $labels.provider }} for "
          "{{ $value | humanizeDuration }}: figures that rest on it are too low."),
    Alert("QuotaForecastMiscalibrated",
          f"{latest('quota_forecast_coverage_ratio')} < 0.65 or {latest('quota_forecast_coverage_ratio')} > 0.92",
          "info", hold="6h", **LIMIT,
          summary=f"{NAME}: forecasts are off",
          description=f"{SHARE} of the last intervals of {NAME} held; of 80 % intervals about 80 % should."),
    own("expiring_unused", "QuotaExpiringUnused", "Quota will expire unused while work waits for it.", "quota-queue"),
    own("cache_low", "QuotaCacheLow", "A workflow without a baseline has a low cache hit rate.", "quota-efficiency"),
    own("run_over_cap", "QuotaRunOverCap", "A run has passed its cap and is still running.", "quota-efficiency"),
    own("high_usage_run", "QuotaHighUsageRun", "A run used more than calls for a look.", "quota-efficiency"),
    own("unpriced_usage", "QuotaUnpricedUsage", "A model without a known price is used.", "quota-service"),
    own("used_elsewhere", "QuotaUsedElsewhere", "A quota is used by nobody here.", "quota-limit"),
    own("provider_changed", "QuotaProviderChanged", "A provider changed a window against its word.", "quota-limit"),
    own("provider_silent", "QuotaProviderSilent", "Nobody reports on a quota while work goes on.", "quota-limit"),
    own("provider_refuses", "QuotaProviderRefuses", "A provider refuses without naming a quota.", "quota-queue"),
)  # fmt: skip
"""Alerts about quotas; the service sends those with a ``rule`` by itself, too."""

SERVICE = (
    Alert("QuotaSchedulerDown",
          'max by (job) (up{job=~"quota-scheduler.*"}) == 0 or absent(up{job=~"quota-scheduler.*"}) == 1',
          "critical", hold="2m", keep="",
          summary="Quota Scheduler is down",
          description="No replica has answered a scrape for two minutes. Quota alerts are blind, and nothing is "
          "admitted."),
    Alert("QuotaSchedulerSnapshotStale",
          f"abs(time() - max by (job) (quota_scheduler_snapshot_timestamp_seconds)) > {SNAPSHOT_STALE}",
          "critical", keep="",
          summary="Quota figures are stale",
          description="The figures are {{ $value | humanizeDuration }} from now and are not being renewed: they are "
          "old, or a clock is wrong."),
    Alert("QuotaSchedulerNoLeader", "sum by (job) (quota_scheduler_leader) < 1", "critical", hold="2m", keep="",
          summary="No replica leads",
          description="No replica runs the ticks: figures age, and no alert is sent."),
    Alert("QuotaSchedulerManyLeaders", "sum by (job) (quota_scheduler_leader) > 1", "critical", hold="1m", keep="",
          summary="{{ $value }} replicas lead",
          description="{{ $value }} replicas believe that they lead; one should. Services on databases of their own "
          "need jobs of their own."),
    Alert("QuotaSchedulerTaskFailing", task_failing(), "warning", hold="5m", keep="",
          summary="The task {{ $labels.task }} fails",
          description="The task {{ $labels.task }} has not succeeded for far longer than it should take."),
    Alert("QuotaSchedulerTaskOverrunning",
          'sum by (job, task) (increase(quota_scheduler_task_skipped_total{reason="overlap",task!="read"}[30m])) > 3',
          "warning", keep="",
          summary="The task {{ $labels.task }} takes too long",
          description="The task {{ $labels.task }} was skipped {{ $value | humanize }} times in half an hour because "
          "it was still running."),
    Alert("QuotaSchedulerDatabaseDown", "min without (instance) (quota_scheduler_database_up) == 0",
          "critical", hold="2m", keep="",
          summary="The database does not answer",
          description="A replica cannot reach the database: nothing is admitted or recorded there."),
    Alert("QuotaAdmissionSlow",
          "histogram_quantile(0.99, sum by (job, le) (rate(quota_admission_duration_seconds_bucket[10m]))) > 0.25",
          "warning", hold="10m",
          summary="Admission is slow",
          description="One in a hundred decisions takes longer than {{ $value | humanizeDuration }}."),
    Alert("QuotaNotificationsFailing",
          """sum by (job, target) (increase(quota_notification_failures_total[15m]))
  / sum by (job, target) (increase(quota_notifications_total[15m])) > 0.2
or sum by (job, target) (increase(quota_notification_failures_total{reason="nomatch"}[15m])) > 0""",
          "critical", hold="5m", keep="",
          summary="Notifications to {{ $labels.target }} fail",
          description="Messages to {{ $labels.target }} do not arrive; they are kept and tried again for a day."),
    Alert("QuotaNotificationBacklog",
          f"time() - {latest('quota_notification_outbox_oldest_timestamp_seconds')} > 600",
          "critical", keep="",
          summary="Notifications are not getting through",
          description="The oldest notification has been waiting for {{ $value | humanizeDuration }}."),
    Alert("QuotaWatchdog", "vector(1) == 1", "none", keep="",
          summary="The alert path works",
          description="Always fires. Route it to a dead man's switch, which calls when it stops."),
)  # fmt: skip
"""Alerts about the service itself, which can only come from Prometheus."""

ALERTS = QUOTA + SERVICE
ALSO = {"deferred_without_cause": "QuotaDeferredStuck"}
"""Rules of the service that share an alert with another one."""
BY_RULE = {alert.rule: alert.name for alert in ALERTS if alert.rule} | ALSO
