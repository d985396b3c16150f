"""Counters as Prometheus sees them: none falls while a process lives, and none counts twice what was there before it.

A process is killed and started again, its transcripts are read again, sums are corrected downwards; on both engines.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from quota_scheduler.metrics.table import FAMILIES
from quota_scheduler.replicas.documents import decode_shown
from quota_scheduler.store import leadership, read_only
from tests.system.service_process import Place, Reply, ServiceProcess, until
from tests.system.transcripts import Agent

pytestmark = pytest.mark.system
CONFIG = """
{database}limits:
  - {{id: daily, match: {{provider: anthropic}}, unit: tokens, amount: 50k, window: day, holdback: 0}}
  - {{id: tiny, match: {{provider: p}}, unit: tokens, amount: 100, window: day, holdback: 0}}
"""
MODEL = "claude-opus-5-5"
EACH_MINUTE = {"quota_unleased_tokens_total", "quota_overrun_tokens_total"}
"""Looked at once a minute, and at a start: they may have stood behind before it."""
REBUILT = {family.name for family in FAMILIES if family.kind == "counter" and not family.live} - EACH_MINUTE
LIVE = {family.name for family in FAMILIES if family.kind == "counter" and family.live}
OF_A_START = {
    "quota_scheduler_task_runs_total",
    "quota_scheduler_takeovers_total",
    "quota_scheduler_task_skipped_total",
}
"""What a process counts of itself before anybody asks it for anything."""
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def counters(service: ServiceProcess, names: set[str]) -> Series:
    """Every series of some counters."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(service.get("/metrics"))
        for sample in family.samples
        if sample.name in names
    }


def fallen(before: Series, after: Series) -> Series:
    """What shows less than before, or no more at all."""
    return {key: after.get(key, -1.0) for key, value in before.items() if after.get(key, -1.0) < value}


def ticked(service: ServiceProcess) -> None:
    """Two more ticks are shown."""
    seen: set[float] = set()
    name = "quota_scheduler_snapshot_timestamp_seconds"
    until(lambda: seen.update(service.sample(name).values()) or len(seen) > 2, what="two ticks")


def at(ago: float = 0.0) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago))


def use(service: ServiceProcess, key: str, tokens: int, **more: Any) -> Reply:
    event = {"provider": "anthropic", "model": MODEL, "key": key, "at": at(), "output": tokens, "session": "S"}
    return service.ask("POST", "/v1/usage", event | more)


def state(service: ServiceProcess, tokens: int) -> None:
    """What a session states that it has used in all."""
    models = {MODEL: {"inputTokens": 0, "outputTokens": tokens}}
    stated = {"type": "result", "subtype": "success", "session_id": "S", "modelUsage": models}
    assert service.ask("POST", "/v1/headless", raw=json.dumps(stated).encode()).status == 200


def of_every_kind(service: ServiceProcess) -> None:
    """Something for most counters: usage listed, stated, late, unpriced and ahead of time; tickets of each fate."""
    state(service, 10_000)
    for reply in (
        use(service, "late", 5, at=at(7_200)),
        use(service, "unknown", 7, model="nobody-knows-1", provider="nobody"),
        use(service, "ahead", 9, at=at(-240)),
    ):
        assert reply.status == 200, reply
    labels = {"provider": "p"}
    for number, tokens in enumerate((90, 90, 900)):
        ticket = {"key": f"t{number}", "labels": labels, "estimate": {"output": tokens}}
        assert service.ask("POST", "/v1/tickets", ticket).status == 200


@pytest.mark.parametrize("engine", [pytest.param("file", id="a file"), pytest.param("server", id="a server")])
def test_no_counter_falls_or_counts_twice(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place = Place(tmp_path)
    dsn = request.getfixturevalue("postgres_dsn") if engine == "server" else ""
    place.config(CONFIG.format(database=f"database: {dsn}\n" if dsn else ""))
    Agent(place.home).spend(input=1_000, output=100)
    (transcript,) = (place.home / ".claude").rglob("*.jsonl")
    with transcript.open("a") as file:
        file.write('{"type": "assistant", "torn\n')
    with ServiceProcess(place) as first:
        first.caught_up().ready()
        of_every_kind(first)
        ticked(first)
        stated = counters(first, REBUILT)
        live = counters(first, LIVE)
        assert len({name for name, _ in stated}) > 12, sorted({name for name, _ in stated})
        assert use(first, "listed", 4_000).status == 200  # of what was stated before: what is unlisted falls by as much
        ticked(first)
        corrected = counters(first, REBUILT)
        assert fallen(stated, corrected) == {}
        assert fallen(live, counters(first, LIVE)) == {}
        until(lambda: standing(place, dsn), what="what stands still, on the disk")
        first.kill()
    again = transcript.with_name("again")
    shutil.copy(transcript, again)
    again.replace(transcript)  # another file of the same name: it is read from its beginning
    with ServiceProcess(place) as second:
        second.caught_up().ready()
        ticked(second)
        restarted = counters(second, REBUILT)
        assert [key for key, value in restarted.items() if value and value != corrected.get(key)] == []
        assert corrected.keys() - restarted.keys() == set()
        anew = counters(second, LIVE)
        assert {key: value for key, value in anew.items() if value and key[0] not in OF_A_START} == {}
        (unleased,) = second.sample("quota_unleased_tokens_total", limit="daily").values()
        assert unleased == 1_100 + 10_000 - 5, "all but what came late"
        assert use(second, "more", 50).status == 200
        ticked(second)
        assert fallen(corrected, counters(second, REBUILT)) == {}
        assert second.terminate() == 0


def standing(place: Place, dsn: str) -> bool:
    """Whether a counter that stands still lies on the disk."""
    with read_only(dsn or place.database) as tx:
        kept = leadership.published(tx, leadership.SHOWN)
    shown = kept and decode_shown(kept.shape, kept.body)
    return bool(shown and shown.standing)
