"""The exposition as Prometheus gets it: contents, both formats, bounds, and what must never happen to a counter."""

import gzip
import os
import re
import shutil
import subprocess
import zlib
from collections import Counter as Tally
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from quota_scheduler.core.admission.loans import Loan
from quota_scheduler.core.efficiency.cache import CacheReading
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.readings import ClassReading, Counter, HeldReading, QueueReading, Readings
from quota_scheduler.core.replicas.shown import Shown
from quota_scheduler.metrics import EARLY, Metrics
from quota_scheduler.metrics.caps import Cap, closed
from quota_scheduler.metrics.snapshot import FULL, LOANS, MODELS, WORKFLOWS
from quota_scheduler.metrics.table import BUCKETS, FAMILIES, Family
from tests.shell.sample import NOW, a_limit, some_queue, some_readings

GOLDEN = Path(__file__).with_name("golden") / "exposition.txt"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
LIMIT = "team-daily/growth"


def metrics_of(readings: Readings | None = None, *, process: bool = False) -> tuple[Metrics, CollectorRegistry]:
    registry = CollectorRegistry()
    metrics = Metrics(
        registry,
        version="1.2.3",
        revision="abc",
        tasks=("recompute", "deliver"),
        targets=("ops",),
        clock=lambda: 1_795_348_800.0,
        process=process,
    )
    if readings is not None:
        metrics.publish(readings)
    return metrics, registry


def everything_happened(metrics: Metrics) -> None:
    metrics.decided(LIMIT, "defer", "throttled", 0.004)
    metrics.started("low", 1_200)
    metrics.run_finished("testing", "completed", 2_500_000)
    metrics.estimated("testing", 2_000_000, 2_500_000)
    metrics.notified("ops", 0.02)
    metrics.notification_failed("ops", "timeout", 5.0)
    metrics.task_ran("recompute", 0.02)
    metrics.task_failed("deliver")
    metrics.task_skipped("recompute", "overlap")
    metrics.database_checked(up=True)
    metrics.leads(True)
    metrics.took_over()
    metrics.spooled("kept")
    metrics.spool(size=304, oldest_at=NOW.timestamp())
    metrics.replicas(agreeing=2, differing=1, differs=False)
    metrics.queried("commit", 0.0004)


def body(metrics: Metrics, accept: str = "") -> str:
    return metrics.exposition(accept)[0].decode()


def samples(text: str) -> dict[str, float]:
    """Series and value of each line: ``name{a="b"}`` → number."""
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {series: float(value) for series, value in lines}


def value(metrics: Metrics, series: str) -> float | None:
    return samples(body(metrics)).get(series)


def test_the_exposition_is_the_golden_text() -> None:
    metrics, _ = metrics_of(some_readings())
    everything_happened(metrics)
    text = re.sub(r'python_version="[^"]+"', 'python_version="3"', body(metrics))
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "a changed exposition is a changed contract: UPDATE_GOLDEN=1 rewrites it"


def test_both_formats_hold_the_same_series() -> None:
    metrics, _ = metrics_of(some_readings())
    everything_happened(metrics)
    text, openmetrics = body(metrics), body(metrics, OPENMETRICS)
    assert samples(text) == samples(openmetrics)
    assert [line for line in openmetrics.splitlines() if line == "# EOF"] == ["# EOF"]
    assert openmetrics.endswith("# EOF\n")
    assert "# EOF" not in text
    assert sum(len(f.samples) for f in parse_openmetrics(openmetrics)) == len(samples(text))
    assert sum(len(f.samples) for f in parse_text(text)) == len(samples(text))


def test_the_registry_shows_what_the_exposition_shows() -> None:
    metrics, registry = metrics_of(some_readings())
    assert generate_latest(registry).decode() == body(metrics)


def test_every_metric_of_the_table_is_exposed_and_no_other() -> None:
    metrics, _ = metrics_of(some_readings())
    everything_happened(metrics)
    found = {f.name + "_total" * (f.type == "counter"): f for f in parse_text(body(metrics))}
    assert set(found) == {family.name for family in FAMILIES}
    for family in FAMILIES:
        labels = {key for sample in found[family.name].samples for key in sample.labels if key != "le"}
        assert (found[family.name].type, labels) == (family.kind, set(family.labels))
        assert found[family.name].documentation == family.documentation


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param("", "text/plain", id="nothing asked for"),
        pytest.param("*/*", "text/plain", id="a browser or curl"),
        pytest.param("text/plain;version=0.0.4", "text/plain", id="text"),
        pytest.param(OPENMETRICS, "application/openmetrics-text", id="Prometheus 2"),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text",
            id="Prometheus 3",
        ),
        pytest.param("application/openmetrics-text;q=0.2, text/plain", "text/plain", id="text is preferred"),
        pytest.param("application/openmetrics-text;q=x", "text/plain", id="a garbled preference counts for nothing"),
    ],
)
def test_format(accept: str, content_type: str) -> None:
    _, headers = metrics_of()[0].exposition(accept)
    assert headers["Content-Type"].split(";")[0] == content_type


@pytest.mark.parametrize(
    ("accept_encoding", "compressed"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0, *", False),
    ],
)
def test_encoding(accept_encoding: str, compressed: bool) -> None:
    metrics, _ = metrics_of(some_readings())
    packed, headers = metrics.exposition(OPENMETRICS, accept_encoding)
    assert (headers.get("Content-Encoding") == "gzip") is compressed
    assert (gzip.decompress(packed) if compressed else packed) == metrics.exposition(OPENMETRICS)[0]


def test_the_gzip_body_is_a_single_member() -> None:
    metrics, _ = metrics_of(some_readings())
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert stream.decompress(metrics.exposition("", "gzip")[0]) == metrics.exposition("")[0]
    assert (stream.eof, stream.unused_data) == (True, b"")


def test_live_counters_move_between_two_publications() -> None:
    metrics, _ = metrics_of(some_readings())
    series = 'quota_admission_decisions_total{decision="admit",limit="team-daily/growth",reason="fits"}'
    before = value(metrics, series)
    metrics.decided(LIMIT, "admit", "fits", 0.001)
    assert (before, value(metrics, series)) == (0.0, 1.0)


def test_a_scrape_never_mixes_two_ticks_and_loses_no_decision() -> None:
    metrics, _ = metrics_of(some_readings())
    pages = [Readings(NOW, limits=tuple(a_limit(name, used=used) for name in "ab")) for used in (100_000, 200_000)]

    def work(number: int) -> None:
        metrics.decided("a", "admit", "fits", 0.001)
        metrics.publish(pages[number % 2])

    metrics.publish(pages[0])
    seen = []
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(work, number) for number in range(40)]
        while not all(job.done() for job in jobs):
            found = samples(gzip.decompress(metrics.exposition(OPENMETRICS, "gzip")[0]).decode())
            seen.append((found['quota_usage_ratio{limit="a"}'], found['quota_usage_ratio{limit="b"}']))
    assert seen
    assert set(seen) <= {(0.1, 0.1), (0.2, 0.2)}
    assert value(metrics, 'quota_admission_decisions_total{decision="admit",limit="a",reason="fits"}') == 40


def test_a_removed_limit_disappears() -> None:
    metrics, _ = metrics_of(some_readings())
    assert 'limit="budget"' in body(metrics)
    kept = tuple(limit for limit in some_readings().limits if limit.limit != "budget")
    metrics.publish(replace(some_readings(), limits=kept))
    assert 'limit="budget"' not in body(metrics)
    assert 'limit="calls"' in body(metrics)


def test_without_limits_nothing_is_said_about_them() -> None:
    metrics, _ = metrics_of(replace(some_readings(), limits=()))
    assert "limit=" not in body(metrics)


def test_before_anybody_has_looked_at_the_line_it_is_not_said_to_be_empty() -> None:
    metrics, _ = metrics_of(replace(some_readings(), queue=None))
    assert not re.search("quota_(queue|tickets_held)_", body(metrics))


def test_a_line_without_anybody_is_zero_in_every_class_and_holds_nobody() -> None:
    nobody = QueueReading(tuple(ClassReading(priority.value, 0, None) for priority in Priority))
    found = samples(body(metrics_of(replace(some_readings(), queue=nobody))[0]))
    waiting = {series: value for series, value in found.items() if series.startswith("quota_queue_waiting")}
    assert waiting == {f'quota_queue_waiting{{class="{priority}"}}': 0 for priority in Priority}
    assert not [series for series in found if series.startswith(("quota_tickets_held", "quota_queue_oldest"))]


def test_what_limits_past_the_bound_hold_is_pooled() -> None:
    names = [f"limit-{number:03}" for number in range(FULL + 3)]
    held = tuple(HeldReading(name, "exhausted", "low", 2, NOW, NOW) for name in (names[0], *names[FULL:]))
    queue = QueueReading(some_queue().classes, (), held)
    readings = replace(some_readings(), limits=tuple(map(a_limit, names)), queue=queue)
    found = samples(body(metrics_of(readings)[0]))
    assert {s: v for s, v in found.items() if s.startswith("quota_tickets_held{")} == {
        'quota_tickets_held{class="low",limit="limit-000",reason="exhausted"}': 2,
        'quota_tickets_held{class="low",limit="other",reason="exhausted"}': 6,
    }


def test_before_the_first_tick_only_the_process_speaks() -> None:
    names = {f.name + "_total" * (f.type == "counter") for f in parse_text(body(metrics_of()[0]))}
    assert names <= {family.name for family in FAMILIES if family.live}


@pytest.mark.parametrize(
    ("sums", "shown"),
    [
        pytest.param([5, 7, 9], [5, 7, 9], id="growth shows"),
        pytest.param([9, 4, 8], [9, 9, 9], id="a correction is held back"),
        pytest.param([9, 4, 12], [9, 9, 12], id="until the true sum has passed it"),
    ],
)
def test_a_counter_never_falls(sums: list[float], shown: list[float]) -> None:
    metrics, _ = metrics_of()
    seen = []
    for total in sums:
        metrics.publish(Readings(NOW, counters=(Counter("quota_unpriced_tokens_total", ("anthropic",), total),)))
        seen.append(value(metrics, 'quota_unpriced_tokens_total{provider="anthropic"}'))
    assert seen == shown


@pytest.mark.parametrize(
    "counter",
    [
        pytest.param(Counter("quota_invented_total", (), 1), id="an unknown name"),
        pytest.param(Counter("quota_unpriced_tokens_total", ("a", "b"), 1), id="too many labels"),
        pytest.param(Counter("quota_usage_ratio", ("a",), 1), id="a gauge"),
    ],
)
def test_a_counter_that_nobody_declared_is_refused_and_the_last_page_stays(counter: Counter) -> None:
    metrics, _ = metrics_of(some_readings())
    before = body(metrics)
    with pytest.raises(ValueError, match="is not in the table of metrics"):
        metrics.publish(Readings(NOW, counters=(counter,)))
    assert body(metrics) == before


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        pytest.param(["a", "b", "a"], ["a", "b", "a"], id="up to the cap each is itself"),
        pytest.param(["a", "b", "c", "a", "c"], ["a", "b", "other", "a", "other"], id="past it they are other"),
        pytest.param(["", "a"], ["other", "a"], id="nothing is other and takes no place"),
        pytest.param(["other", "a", "b"], ["other", "a", "other"], id="other may be a name too"),
    ],
)
def test_cap(given: list[str], shown: list[str]) -> None:
    cap = Cap(2)
    assert [cap(value) for value in given] == shown


def test_closed_sets_let_nothing_in() -> None:
    assert [closed(text, {"admit", "defer"}) for text in ("admit", "invented", "")] == ["admit", "other", "other"]


def test_invented_label_values_are_other() -> None:
    metrics, _ = metrics_of(some_readings())
    for number in range(3 * MODELS):
        metrics.decided(f"limit-{number}", f"maybe-{number}", f"why-{number}", 0.1)
        metrics.run_finished(f"type-{number}", f"end-{number}", 5)
        metrics.task_skipped(f"task-{number}", f"why-{number}")
        metrics.notification_failed(f"target-{number}", f"why-{number}")
    found = samples(body(metrics))
    late = 3 * MODELS - EARLY
    assert found['quota_admission_decisions_total{decision="other",limit="other",reason="other"}'] == late
    assert found['quota_scheduler_task_skipped_total{reason="other",task="other"}'] == 3 * MODELS
    assert found['quota_notification_failures_total{reason="other",target="other"}'] == 3 * MODELS
    assert found['quota_workflow_tokens_count{outcome="other",task_type="other"}'] == 2 * MODELS
    assert len([s for s in found if s.startswith("quota_workflow_tokens_count")]) == MODELS + 1


def test_models_past_the_cap_are_pooled_smallest_first_and_lose_nothing() -> None:
    counters = tuple(
        Counter("quota_consumed_tokens_total", (LIMIT, "anthropic", f"model-{n}", "input"), n)
        for n in range(MODELS + 50)
    )
    metrics, _ = metrics_of(replace(some_readings(), counters=counters))
    found = {s: v for s, v in samples(body(metrics)).items() if s.startswith("quota_consumed_tokens_total")}
    assert len(found) == MODELS + 1
    assert sum(found.values()) == sum(range(MODELS + 50))
    pooled = 'quota_consumed_tokens_total{kind="input",limit="team-daily/growth",model="other",provider="anthropic"}'
    assert found[pooled] == sum(range(50))


MANY = 5_000
MOST_SERIES = 2 * (MODELS + 1)
"""Of one metric: with two labels that clients invent, values of both are pooled together."""


def test_R12_every_metric_has_its_cap_whatever_clients_invent() -> None:
    invented = {"provider", "model", "task_type"}
    families = [family for family in FAMILIES if family.kind == "counter" and not family.live]
    counters = tuple(
        Counter(family.name, tuple(f"{name}-{n}" if name in invented else LIMIT for name in family.labels), n)
        for family in families
        if invented & set(family.labels)
        for n in range(MANY)
    )
    moments = tuple((f"provider-{n}", NOW - timedelta(seconds=n)) for n in range(MANY))
    leases = tuple((f"provider-{n}", 1, None) for n in range(MANY))
    readings = replace(some_readings(), counters=counters, last_usage=moments, concurrency=leases)
    metrics, _ = metrics_of(readings)
    for n in range(MANY):
        metrics.decided(f"limit-{n}", f"maybe-{n}", f"why-{n}", 0.1)
        metrics.started(f"class-{n}", 1)
        metrics.run_finished(f"type-{n}", f"end-{n}", 5)
        metrics.estimated(f"type-{n}", 1, 1)
        metrics.notified(f"target-{n}", 1)
        metrics.notification_failed(f"target-{n}", f"why-{n}", 1)
        metrics.task_ran(f"task-{n}", 1)
        metrics.task_failed(f"task-{n}")
        metrics.task_skipped(f"task-{n}", f"why-{n}")
        metrics.queried(f"operation-{n}", 1)
    found = samples(body(metrics))
    series = Tally(name.partition("{")[0] for name in found if "_bucket{" not in name)
    assert {name: count for name, count in series.items() if count > MOST_SERIES} == {}
    # pooled, not dropped
    assert found['quota_concurrency_in_use{provider="other"}'] == MANY - MODELS
    assert found['quota_last_usage_timestamp_seconds{provider="other"}'] == NOW.timestamp()
    recorded = [value for name, value in found.items() if name.startswith("quota_recorded_tokens_total")]
    assert sum(recorded) == sum(range(MANY))


def test_small_workflows_share_one_gauge() -> None:
    caches = tuple(CacheReading(f"w{n:03}", "p", n / 100, 0.5, n * 1_000) for n in range(1, WORKFLOWS + 3))
    metrics, _ = metrics_of(Readings(NOW, caches=caches))
    found = samples(body(metrics))
    rates = [name for name in found if name.startswith("quota_workflow_cache_hit_ratio")]
    assert len(rates) == WORKFLOWS + 1
    assert found['quota_workflow_cache_hit_ratio{workflow="other"}'] == pytest.approx((0.01 * 1 + 0.02 * 2) / 3)
    assert 'quota_workflow_cache_baseline_ratio{workflow="other"}' not in found


def test_small_loans_share_one_gauge() -> None:
    amounts = range(1, LOANS + 3)
    loans = tuple(Loan(n, "pool", f"team/{n}", "team/a", n * 1_000, n * 1_000, NOW, None) for n in amounts)
    metrics, _ = metrics_of(Readings(NOW, limits=(a_limit("pool"),), loans=loans))
    owed = {name: share for name, share in samples(body(metrics)).items() if name.startswith("quota_owed_ratio")}
    assert len(owed) == LOANS + 1
    assert owed['quota_owed_ratio{borrower="other",lender="other",limit="pool"}'] == pytest.approx(0.003)
    assert sum(owed.values()) == pytest.approx(sum(amounts) / 1_000)


def test_limits_past_the_full_set_show_the_essentials() -> None:
    limits = tuple(a_limit(f"team-daily/t{n}") for n in range(FULL + 1))
    counters = tuple(Counter("quota_unleased_tokens_total", (limit.limit,), 1) for limit in limits)
    text = body(metrics_of(Readings(NOW, limits=limits, counters=counters))[0])
    names = {line.split("{")[0] for line in text.splitlines() if f'limit="team-daily/t{FULL}"' in line}
    assert names == {"quota_usage_ratio", "quota_state", "quota_window_end_timestamp_seconds"}


def test_money_is_exposed_in_dollars() -> None:
    found = samples(body(metrics_of(some_readings())[0]))
    assert found['quota_limit_usd{limit="budget"}'] == 10
    assert found['quota_used_usd{limit="budget"}'] == 2.5
    spent = 'quota_consumed_usd_total{limit="team-daily/growth",model="claude-sonnet-5",provider="anthropic"}'
    assert found[spent] == 12.5


def test_no_created_series() -> None:
    metrics, _ = metrics_of(some_readings(), process=True)
    everything_happened(metrics)
    assert [s for form in ("", OPENMETRICS) for s in samples(body(metrics, form)) if "_created" in s] == []


RESERVED = {"job", "instance", "le", "quantile", "type", "service", "env", "owner", "stage"}
NEVER = {"run", "session", "agent", "account", "project", "issue"}
UNITS = ("_tokens", "_tokens_mean", "_usd", "_requests", "_ratio", "_bytes", "_seconds", "_info")
COUNTED = {
    "quota_runs_remaining",
    "quota_queue_waiting",
    "quota_queue_held",
    "quota_tickets_held",
    "quota_tickets_waiting",
    "quota_leases_active",
    "quota_leases_limit",
    "quota_alerts_firing",
    "quota_scheduler_replicas",
    "quota_breaker_open",
    "quota_concurrency_in_use",
    "quota_concurrency_limit",
    "quota_optimization_flagged_workflows",
}
STATES = {
    "quota_state",
    "quota_observed_state",
    "quota_risk",
    "quota_optimization_level",
    "quota_quality_windows",
    "quota_scheduler_leader",
    "quota_scheduler_database_up",
    "quota_scheduler_held",
    "quota_scheduler_rules_differ",
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_naming(family: Family) -> None:
    name, kind, labels = family.name, family.kind, set(family.labels)
    assert re.fullmatch(r"quota_[a-z]+(_[a-z]+)*", name)
    assert (kind == "counter") == name.endswith("_total")
    assert not re.search(r"_(percent|milliseconds|ms|minutes|hours|days|cents|microusd|count|sum|bucket)(_|$)", name)
    assert kind == "counter" or name in COUNTED | STATES or name.endswith(UNITS)
    assert ("timestamp" in name) == name.endswith("_timestamp_seconds")
    assert not labels & (RESERVED | NEVER)


def test_histograms_have_their_buckets_declared() -> None:
    assert set(BUCKETS) == {family.name for family in FAMILIES if family.kind == "histogram"}
    assert all(list(buckets) == sorted(set(buckets)) for buckets in BUCKETS.values())


def promtool(text: bytes) -> str:
    if shutil.which("promtool") is None:
        if os.environ.get("REQUIRE_PROGRAMS") == "1":
            pytest.fail("promtool is missing: apt-get install prometheus")
        pytest.skip("promtool is missing: apt-get install prometheus")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text 0.0.4", "OpenMetrics 1.0"])
def test_promtool_has_nothing_to_say(accept: str) -> None:
    """promtool reads text only and takes the ``_total`` of an OpenMetrics counter for a metric without help."""
    metrics, _ = metrics_of(some_readings(), process=True)
    everything_happened(metrics)
    remarks = set(promtool(metrics.exposition(accept)[0]).splitlines())
    families = parse_openmetrics(body(metrics, OPENMETRICS)) if accept else ()
    assert remarks == {f"{family.name}_total no help text" for family in families if family.type == "counter"}


def test_a_decision_before_the_first_tick_counts_under_its_limit() -> None:
    metrics, _ = metrics_of(some_readings())
    metrics.decided("team-daily/new", "defer", "no_headroom", 0.1)
    metrics.publish(some_readings())
    series = 'quota_admission_decisions_total{decision="defer",limit="team-daily/new",reason="no_headroom"}'
    assert value(metrics, series) == 1
    for _ in range(2):
        metrics.publish(some_readings())
    assert value(metrics, series) is None, "a limit that no readings show has no series"


def test_who_goes_on_from_what_another_has_shown_shows_the_same() -> None:
    """A counter that fell stands still, and a value past a cap stays pooled, on whichever process that is asked."""
    before = replace(some_readings(), counters=(Counter("quota_unpriced_tokens_total", ("anthropic",), 70.0),))
    after = replace(before, counters=(Counter("quota_unpriced_tokens_total", ("anthropic",), 50.0),))
    leader, _ = metrics_of(before)
    leader.publish(after)
    follower, _ = metrics_of(after)
    alone = value(follower, 'quota_unpriced_tokens_total{provider="anthropic"}')
    leader.publish(after)
    follower.publish(after, leader.shown())
    assert (alone, value(follower, 'quota_unpriced_tokens_total{provider="anthropic"}')) == (50, 70)
    assert samples(body(follower)) == samples(body(leader))


def test_values_that_another_keeps_apart_are_kept_apart_and_no_others() -> None:
    full = Shown(apart=(("provider", tuple(f"p{number:03}" for number in range(100))),))
    metrics, _ = metrics_of(some_readings())
    metrics.publish(some_readings(), full)
    providers = {line.split('provider="')[1].split('"')[0] for line in samples(body(metrics)) if "last_usage" in line}
    assert providers == {"other"}
