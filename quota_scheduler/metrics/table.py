"""Every metric of the service: name, kind, labels, meaning. docs/reference/metrics.md is held to this table by a test.

*Snapshot* metrics are computed from the last published readings and are the same on every replica: aggregate them with
``max without (instance)``. *Live* ones are counted by one process: aggregate them with ``sum``.
"""

from msgspec import Struct

CACHED = " (cached)"
"""What the help of a snapshot metric ends with; how old it is says quota_scheduler_snapshot_timestamp_seconds."""


class Family(Struct, frozen=True):
    """One metric. ``kind`` is counter, gauge or histogram; ``labels`` are in the order in which values are given."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    live: bool = False

    @property
    def documentation(self) -> str:
        """The help text as exposed."""
        return self.help if self.live else self.help + CACHED


def _snapshot(kind: str, rows: str) -> list[Family]:
    return [Family(name, kind, labels, text) for name, labels, text in _parse(rows)]


def _live(kind: str, rows: str) -> list[Family]:
    return [Family(name, kind, labels, text, live=True) for name, labels, text in _parse(rows)]


def _parse(rows: str) -> list[tuple[str, tuple[str, ...], str]]:
    parts = ([part.strip() for part in row.split("|")] for row in rows.strip().splitlines())
    return [(name, tuple(labels.split()), text) for name, labels, text in parts]


FAMILIES = (
    *_snapshot(
        "gauge",
        """
        quota_info | limit provider scope period unit parent mode | Quota metadata, constant 1
        quota_limit_tokens | limit | Limit of the current window
        quota_limit_usd | limit | Limit of the current window
        quota_limit_requests | limit | Limit of the current window
        quota_used_tokens | limit | Consumed in the current window
        quota_used_usd | limit | Consumed in the current window
        quota_used_requests | limit | Consumed in the current window
        quota_used_today_tokens | limit | Consumed since midnight in the limit's time zone, to the hour
        quota_used_today_usd | limit | Consumed since midnight in the limit's time zone, to the hour
        quota_used_today_requests | limit | Consumed since midnight in the limit's time zone, to the hour
        quota_usual_today_tokens | limit | Mean of what was consumed by this time of the day on the last 7 days
        quota_usual_today_usd | limit | Mean of what was consumed by this time of the day on the last 7 days
        quota_usual_today_requests | limit | Mean of what was consumed by this time of the day on the last 7 days
        quota_reserved_tokens | limit | Held by active reservations
        quota_reserved_usd | limit | Held by active reservations
        quota_reserved_requests | limit | Held by active reservations
        quota_usage_ratio | limit | Used / limit, of leases running / limit
        quota_committed_ratio | limit | (Used + reserved) / limit
        quota_headroom_ratio | limit | Headroom / limit; negative when more than the allowance is used and reserved
        quota_allowance_ratio | limit | Allowance / limit: what automation may spend
        quota_window_start_timestamp_seconds | limit | Start of the current window
        quota_window_end_timestamp_seconds | limit | End of the current window, which is the reset
        quota_forecast_usage_ratio | limit estimate | Projected usage / limit at the reset
        quota_forecast_exhaustion_timestamp_seconds | limit | Expected exhaustion, or since when; absent when it lasts
        quota_forecast_exceed_probability_ratio | limit | Probability that usage passes the limit before the reset
        quota_forecast_coverage_ratio | limit | Realised coverage of the last 30 judged 80 % intervals
        quota_forecast_error_ratio | limit horizon | Relative error of past forecasts by share of the window to come
        quota_forecast_brier_ratio | limit horizon | Brier score of past exceed probabilities, likewise
        quota_observed_ratio | limit | What the provider reported as used of the current window; absent while unknown
        quota_observed_timestamp_seconds | limit | As of when that was true
        quota_observed_state | limit state | 1 for how far the provider's word can be gone by, 0 for others
        quota_observed_elsewhere_ratio | limit | Share of the current window that nobody here used
        quota_observed_points_per_usd | limit estimate | Percent points that a dollar of usage takes, as learned
        quota_quality_windows | limit | Closed windows that scheduling quality is over: those of the last 30 days
        quota_quality_avoidable_harm_ratio | limit | Important demand turned away that an order could have spared
        quota_quality_lost_ratio | limit | Share of the limit that expired while somebody waited who could have used it
        quota_quality_used_ratio | limit | Share of the limit that was used
        quota_quality_value_ratio | limit | Worth of what was used over the most it could have been, by class 8, 4, 2, 1
        quota_quality_denied_ratio | limit class | Demand of a class that was turned away
        quota_quality_stalled_ratio | limit class | Runs that ended unfinished in an exhausted window
        quota_burn_rate_ratio | limit lookback | Burn rate over the lookback, 1 = on pace
        quota_remaining_burn_ratio | limit lookback | Burn of what is left, above 1 = runs out before the reset
        quota_state | limit state | 1 for the current throttle level, 0 for others
        quota_risk | limit risk | 1 for the current risk band, 0 for others
        quota_optimization_level | limit level | 1 for the current optimization level, 0 for others; not of leases
        quota_queue_waiting | class | Waiting in the throttle queue, everybody once
        quota_queue_oldest_timestamp_seconds | class | When the oldest waiting ticket came in; absent when none waits
        quota_queue_held | reason | Waiting in the throttle queue by the reason of their verdict, everybody once
        quota_tickets_held | limit reason class | Waiting, by each limit that holds them now
        quota_tickets_held_oldest_timestamp_seconds | limit reason class | When the oldest of them came in
        quota_tickets_held_until_timestamp_seconds | limit reason class | The earliest instant that could change it
        quota_tickets_waiting | limit class | Waiting in the throttle queue under a limit, whoever holds them
        quota_tickets_oldest_timestamp_seconds | limit class | When the oldest waiting ticket came in
        quota_breaker_open | provider | Accounts whose provider refuses for a moment, so that new starts wait
        quota_concurrency_in_use | provider | Running leases of a provider
        quota_concurrency_limit | provider | Most leases of a provider at once; absent without a limit on all of them
        quota_leases_active | limit | Running leases
        quota_leases_limit | limit | Most leases that may run at once
        quota_owed_ratio | limit lender borrower | Owed within a pool / the pool's limit; absent when repaid
        quota_overshoot_bound_tokens | limit | Bound on overshoot: what running leases used beyond their reservations
        quota_runs_remaining | limit | Runs of the mean size of 7 days that the headroom is good for
        quota_run_tokens_mean | limit | Mean tokens per run over 7 days
        quota_cache_hit_ratio | limit lookback | Cache-read share of input tokens over the last 1d or 7d
        quota_cache_hit_baseline_ratio | limit | Median daily cache hit rate of the 14 days before the last 24 h
        quota_last_usage_timestamp_seconds | provider | Newest usage event
        quota_workflow_cache_hit_ratio | workflow | Cache-read share of input tokens in the lookback
        quota_workflow_cache_baseline_ratio | workflow | Median of the days before the lookback
        quota_optimization_flagged_workflows | flag | Workflows that ran with the flag in 7 days
        quota_optimization_effect_ratio | flag estimate | Tokens per run with the flag over without, matched by workflow
        quota_optimization_success_ratio | flag side | Completed share of the finished runs of the compared workflows
        quota_alerts_firing | alert severity | Alerts firing in the service
        quota_notification_outbox_oldest_timestamp_seconds | | Oldest undelivered notification; absent when none waits
        quota_source_lag_seconds | source | How far behind an origin of usage is
        quota_scheduler_snapshot_timestamp_seconds | | When the exported snapshot was computed
        """,
    ),
    *_snapshot(
        "counter",
        """
        quota_consumed_tokens_total | limit provider model kind | Tokens over all windows, less backfills; never reset
        quota_consumed_usd_total | limit provider model | Cost over all windows, less backfills; never reset
        quota_recorded_tokens_total | provider model kind | Tokens of all calls, less backfills, under any limit or none
        quota_recorded_usd_total | provider model | Cost of all calls, less backfills, under any limit or none
        quota_unlisted_tokens_total | provider model kind | Tokens of sessions beyond their calls, less backfills
        quota_unlisted_usd_total | provider model | Cost of sessions beyond their calls, less backfills
        quota_partial_answers_total | source | Answers that were interrupted: their output is a lower bound
        quota_left_out_tokens_total | source | Told and not counted: another door tells of the same hour
        quota_backfilled_tokens_total | provider | Tokens recorded over an hour after their own time
        quota_workflows_over_budget_total | task_type | Workflows that passed their budget, backfills aside
        quota_tickets_deferred_total | limit class | Tickets that were told to wait
        quota_tickets_throttled_total | limit class | Those of them that a quota had no room for
        quota_tickets_rejected_total | limit class | Tickets that were refused
        quota_tickets_woken_total | limit class | Tickets that left the queue to start
        quota_tickets_abandoned_total | limit class | Tickets that left the queue because nobody claimed them
        quota_leases_expired_total | limit | Leases that ran out without settlement
        quota_overrun_tokens_total | limit | Used beyond reservations
        quota_unleased_tokens_total | limit | Used without a lease, backfills aside
        quota_late_usage_tokens_total | provider | Booked into closed windows
        quota_unpriced_tokens_total | provider | Without a known price
        quota_skewed_events_total | provider | Usage events whose clock was ahead
        quota_would_defer_total | limit class | Tickets that a limit in mode warn would have deferred
        quota_source_errors_total | source | Lines or calls of an origin of usage that could not be used
        """,
    ),
    *_live(
        "counter",
        """
        quota_admission_decisions_total | limit decision reason | Admission decisions
        quota_notifications_total | target | Delivery attempts
        quota_notification_failures_total | target reason | Delivery attempts that failed
        quota_scheduler_task_runs_total | task | Runs
        quota_scheduler_task_failures_total | task | Runs that failed
        quota_scheduler_task_skipped_total | task reason | Runs that did not happen
        quota_scheduler_writes_refused_total | | Transactions that the database did not take
        quota_scheduler_failed_answers_total | | Answers over HTTP with a status of 5xx, the probes aside
        quota_scheduler_takeovers_total | | Times that this process began to lead where another had led
        quota_scheduler_spooled_total | outcome | Bodies of usage while the database was away, by what became of them
        quota_scheduler_slowed_requests_total | | Requests of tokens that asked too often (429)
        """,
    ),
    *_live(
        "gauge",
        """
        quota_scheduler_build_info | version revision python_version | Build metadata, constant 1
        quota_scheduler_task_last_success_timestamp_seconds | task | Last success
        quota_scheduler_leader | | 1 on the process that runs the ticks
        quota_scheduler_replicas | rules | Replicas on the database, by whether their rules are the leader's
        quota_scheduler_rules_differ | | 1 while this configuration decides otherwise than the leader's
        quota_scheduler_spool_bytes | | Usage that waits on this disk for the database to be back
        quota_scheduler_spool_oldest_timestamp_seconds | | When the oldest of it came, 0 where nothing waits
        quota_scheduler_database_up | | 1 when the last database check passed
        quota_scheduler_held | | 1 while an operator holds everything
        """,
    ),
    *_live(
        "histogram",
        """
        quota_admission_duration_seconds | decision | Decision latency
        quota_tickets_wait_seconds | class | Wait from deferral to start
        quota_workflow_tokens | task_type outcome | Tokens per finished workflow
        quota_estimate_error_ratio | task_type | Actual / estimated tokens
        quota_notification_duration_seconds | target | Delivery time
        quota_scheduler_task_duration_seconds | task | Run time
        quota_scheduler_database_query_duration_seconds | operation | Time in the database
        """,
    ),
)
"""What section of the exposition a metric is in follows from ``live``; the order is that of the exposition."""

BY_NAME = {family.name: family for family in FAMILIES}

MINUTE, HOUR, DAY = 60, 3600, 86400
BUCKETS: dict[str, tuple[float, ...]] = {
    "quota_admission_duration_seconds": (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    "quota_tickets_wait_seconds": (
        10,
        MINUTE,
        5 * MINUTE,
        15 * MINUTE,
        HOUR,
        5 * HOUR,
        12 * HOUR,
        DAY,
        3 * DAY,
        7 * DAY,
    ),
    "quota_workflow_tokens": (10e3, 30e3, 100e3, 300e3, 1e6, 2e6, 3e6, 5e6, 10e6, 30e6),
    "quota_estimate_error_ratio": (0.25, 0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2, 3, 5, 10),
    "quota_notification_duration_seconds": (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60),
    "quota_scheduler_database_query_duration_seconds": (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
    "quota_scheduler_task_duration_seconds": (0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300),
}
"""Upper ends of the histograms' buckets: waits up to the longest session windows, tokens around the run caps."""
