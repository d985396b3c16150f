"""What files tell of the provider's word comes into the store with how far they have been read."""

import json
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.observations.observation import Observation, ProviderWindow
from quota_scheduler.core.pricing import Priced, PriceRates
from quota_scheduler.core.usage import PriceTerms, Usage
from quota_scheduler.service.ingest import Ingest
from quota_scheduler.sources import codex
from quota_scheduler.sources.agent_files import AgentFiles
from quota_scheduler.sources.calls import labeller
from quota_scheduler.store import Store, Transaction, observations, sources

NOW = datetime(2026, 10, 2, 16, tzinfo=UTC)
AT = datetime(2026, 10, 2, 15, 6, 18, tzinfo=UTC)
RESET = datetime(2026, 10, 2, 18, tzinfo=UTC)
SPOILT = 666
"""Input tokens that the price table of these tests cannot take."""


class Prices:
    def price(self, _labels: Labels, usage: Usage, _at: datetime, _terms: PriceTerms) -> Priced:
        if usage.input == SPOILT:
            raise OverflowError("no price is so large")
        return Priced(0, estimated=False)

    def rates(self, _labels: Labels, _at: datetime, _terms: PriceTerms) -> tuple[tuple[PriceRates, ...], bool]:
        return (), False


def line(kind: str, **payload) -> bytes:
    return json.dumps({"timestamp": "2026-10-02T15:06:18Z", "type": kind, "payload": payload}).encode() + b"\n"


def answer(key: str, tokens: int) -> bytes:
    return line("token_usage_record", response_id=key, usage={"input_tokens": tokens, "output_tokens": 1})


HEAD = line("session_meta", id="T", cwd="/srv/app", history_mode="paginated")
LIMITS = line(
    "event_msg",
    type="token_count",
    rate_limits={"primary": {"used_percent": 25, "window_minutes": 300, "resets_at": RESET.timestamp()}},
)
REPORT = Observation("openai", "team", ProviderWindow.FIVE_HOUR, AT, "codex", 0.25, RESET)


class Reading:
    """An ingest of a Codex home."""

    def __init__(self, store: Store, home: Path) -> None:
        self.store, self.file = store, home / "sessions" / "a.jsonl"
        self.file.parent.mkdir()
        agent = AgentFiles("codex", [self.file.parent], codex.CodexReader, labeller(agent="codex", account="team"))
        self.ingest = Ingest("codex", "openai", agent.scan, store=store, do=self.do, prices=Prices(), limits=lambda: ())

    def do(self, work: Callable[[Transaction], Any]) -> "Future[Any]":
        """Write at once, and fail as the writer fails."""
        future: Future[Any] = Future()
        try:
            with self.store.transaction() as tx:
                result = work(tx)
            future.set_result(result)  # after the commit, which may be what fails
        except Exception as error:
            future.set_exception(error)
        return future

    def after(self, *lines: bytes) -> tuple[int, list[Observation], int]:
        """Events accepted by a pass over a file with these lines, all reports kept, and how far the file is read."""
        self.file.write_bytes(b"".join(lines))
        accepted = self.ingest.poll().accepted
        with self.store.reading() as tx:
            kept = [report for key in observations.keys_of(tx) for report in observations.since(tx, key, AT)]
            states = sources.load(tx, "codex")
        return accepted, kept, states[str(self.file)].offset


@pytest.fixture
def reading(tmp_path):
    with Store(tmp_path / "quota.db", clock=lambda: NOW) as store:
        yield Reading(store, tmp_path)


@pytest.mark.parametrize(
    ("lines", "accepted"),
    [
        pytest.param((HEAD, LIMITS), 0, id="a report alone"),
        pytest.param((HEAD, answer("r1", 10), LIMITS), 1, id="a report beside usage"),
        pytest.param(
            (HEAD, answer("r1", SPOILT), answer("r2", 10), LIMITS), 1, id="a report beside usage that is spoilt"
        ),
    ],
)
def test_a_report_is_kept_once_with_how_far_its_file_is_read(reading, lines, accepted):
    length = len(b"".join(lines))
    assert reading.after(*lines) == (accepted, [REPORT], length)
    assert reading.after(*lines) == (0, [REPORT], length)


def test_a_report_that_cannot_be_kept_keeps_no_usage_from_counting(reading):
    """The table is gone, as after a restore of half a database: usage and file states are written all the same."""
    with reading.store.transaction() as tx:
        tx.execute("ALTER TABLE observations RENAME TO elsewhere")
    reading.file.write_bytes(b"".join((HEAD, answer("r1", 10), LIMITS)))
    assert (reading.ingest.poll().accepted, reading.ingest.progress.errors) == (1, 1)
