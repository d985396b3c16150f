"""Unlisted usage in the ledger: what real transcripts hid, to the token, in whatever order it comes and goes."""

import json
import os
import random
import shutil
from collections import Counter
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.pricing import Priced
from quota_scheduler.core.usage import Extent, Usage, UsageEvent
from quota_scheduler.service.apply_prices import priced_events
from quota_scheduler.service.ingest import Ingest
from quota_scheduler.service.queries.usage import usage_document
from quota_scheduler.service.record import record_usage
from quota_scheduler.service.settle_unlisted import UnlistedUsage
from quota_scheduler.sources import claude_code
from quota_scheduler.store import Store, apart, ledger, pruned, session_totals
from tests.builders import a_limit, a_run_cap

CORPUS = Path("tests/data/agents/claude_code")
"""Sessions of Claude Code 2.1.332 against a stand-in whose n-th answer used ``answered(n)``. B is a fork of A after its
first compaction, C one of B after B's; D was interrupted and resumed; F is a person who pressed escape."""
NOW = datetime(2026, 11, 28, 0, 30, tzinfo=UTC)
MODEL = "claude-opus-5-5"


def answered(number: int) -> Usage:
    return Usage(100 + number, 1000 * number, 100, 200, 40 + number)


HIDDEN = {
    "session-A": answered(3).plus(answered(7)),
    "session-B": answered(5),
    "session-D": answered(11),
    "session-F": Usage(output=22),  # what the client had heard of the answer, beyond the 1 in the file
}
LISTED = {
    "session-A": answered(1).plus(answered(2)).plus(answered(8)),
    "session-B": answered(4),
    "session-C": answered(6),
    "session-D": answered(9).plus(answered(10)).plus(answered(12)).minus(Usage(output=49)),
    "session-F": answered(13).plus(answered(14)).plus(answered(15)).minus(Usage(output=53)),
}
"""Of the answers 10 and 14 the files hold one token of output."""


class Prices:
    """A micro-dollar for each token."""

    def price(self, _labels, usage, _at, _terms):
        return Priced(usage.tokens * 10**6, estimated=False)

    def rates(self, _labels, _at, _terms):
        return (), False


class Service:
    """A store with an ingest of a folder; it may be started again at any time."""

    def __init__(self, folder, *limits):
        self.folder, self.limits = folder, limits
        self.root = folder / "projects"
        self.root.mkdir(exist_ok=True)
        self.store = None
        self.start()

    def start(self):
        if self.store:
            self.store.close()
        self.store = Store(self.folder / "quota.db", clock=lambda: NOW)
        scan = partial(claude_code.scan, [self.root], labeller=claude_code.labeller())
        knobs = {"store": self.store, "do": self.do, "prices": Prices(), "limits": lambda: self.limits}
        self.ingest = Ingest(claude_code.NAME, claude_code.PROVIDER, scan, **knobs)
        self.unlisted = UnlistedUsage(self.store, self.do, Prices(), lambda: self.limits)

    def do(self, work):
        future = Future()
        with self.store.transaction() as tx:
            future.set_result(work(tx))
        return future

    def record(self, *events):
        self.do(lambda tx: record_usage(tx, priced_events(events, Prices()), self.limits))
        self.unlisted.settle()

    def put(self, name, lines=None):
        text = (CORPUS / f"{name}.jsonl").read_text().splitlines(keepends=True)
        (self.root / f"{name}.jsonl").write_text("".join(text[:lines]))

    def events(self, extent=None):
        with self.store.reading() as tx:
            stored = ledger.between(tx, NOW - timedelta(days=30), NOW + timedelta(days=30))
        return [event for event in stored if extent is None or event.extent is extent]

    def sums(self, *, unlisted):
        sums = {}
        for event in self.events():
            if (event.extent is Extent.UNLISTED) is unlisted:
                sums[event.session] = sums.get(event.session, Usage()).plus(Usage(*event.usage.kinds))
        return {session: usage for session, usage in sums.items() if usage.tokens}


@pytest.fixture
def service(tmp_path):
    made = Service(tmp_path, a_limit(10**6), a_run_cap(10**6))
    yield made
    made.store.close()


SESSIONS = ("session-A", "session-B", "session-C", "session-D", "session-F")


@pytest.mark.parametrize("seed", range(6))
def test_real_sessions_to_the_token_in_any_order_of_files(service, seed):
    order = random.Random(seed).sample(SESSIONS, len(SESSIONS))
    for name in order:
        service.put(name)
        if seed % 2:
            service.ingest.poll()
    service.ingest.poll()
    assert (service.sums(unlisted=True), service.sums(unlisted=False)) == (HIDDEN, LISTED)


@pytest.mark.parametrize("seed", range(3))
def test_read_as_it_was_written_with_restarts_it_is_the_same(service, tmp_path, seed):
    chance = random.Random(seed)
    lengths = {name: len((CORPUS / f"{name}.jsonl").read_text().splitlines()) for name in SESSIONS}
    read = dict.fromkeys(SESSIONS, 0)
    while any(read[name] < lengths[name] for name in SESSIONS):
        name = chance.choice([name for name in SESSIONS if read[name] < lengths[name]])
        read[name] = min(lengths[name], read[name] + chance.randint(1, 12))
        service.put(name, read[name])
        if chance.random() < 0.2:
            service.start()
        service.ingest.poll()
    assert (service.sums(unlisted=True), service.sums(unlisted=False)) == (HIDDEN, LISTED)
    before = sorted(service.events(), key=lambda event: event.key)
    whole = Service(tmp_path / "again" if (tmp_path / "again").mkdir() is None else tmp_path, *service.limits)
    for name in SESSIONS:
        whole.put(name)
    whole.ingest.poll()
    assert sorted(whole.events(), key=lambda event: event.key) == before
    whole.store.close()


def everything(service):
    for name in SESSIONS:
        service.put(name)
    service.ingest.poll()
    return service


def test_it_counts_in_windows_and_runs_and_stands_apart(service):
    everything(service)
    every = [*HIDDEN.values(), *LISTED.values()]
    with service.store.reading() as tx:
        used = tx.rows("SELECT sum(used) FROM windows WHERE rule = 'day'")[0][0]
        runs = {run: usage.tokens for run, usage in ledger.run_usage(tx, SESSIONS).items()}
        hidden = Counter()
        for _, extent, origin, _, answers, usage in apart.by_labels(tx):
            hidden[extent.value, origin] += answers if extent is Extent.PARTIAL else usage.tokens
    assert used == sum(usage.tokens for usage in every)
    assert runs == {s: (LISTED[s].plus(HIDDEN.get(s, Usage()))).tokens for s in SESSIONS}
    assert hidden == {
        ("unlisted", "claude_code"): sum(usage.tokens for usage in HIDDEN.values()),
        ("partial", "claude_code"): 2,
    }


def test_it_has_a_price_and_no_requests_and_its_session_s_labels(service):
    event = next(e for e in everything(service).events(Extent.UNLISTED) if e.session == "session-B")
    call = next(e for e in service.events(Extent.WHOLE) if e.session == "session-B")
    assert (event.usage.requests, event.usage.cost_microusd) == (0, event.usage.tokens)
    assert (event.labels, event.run, event.priority) == (call.labels, call.run, call.priority)


def by_door(number, session, *, at, key=None):
    """The event that Claude Code exports for a call, with the request id that no file names."""
    usage = answered(number)._replace(requests=1)
    return UsageEvent(
        key or f"req_{number:03}x", at, Labels("anthropic", model=MODEL), usage, session=session,
        origin="otlp/claude_code/logs",
    )  # fmt: skip


COMPACTION = by_door(3, "session-A", at=datetime(2026, 11, 28, 0, 4, 21, 552_000, UTC))


@pytest.mark.parametrize("first", ["the file", "the other door"])
def test_a_hidden_call_that_another_door_lists_counts_once(service, first):
    if first == "the other door":
        service.record(COMPACTION)
    everything(service)
    service.record(COMPACTION)
    assert service.sums(unlisted=True) == HIDDEN | {"session-A": answered(7)}
    assert service.sums(unlisted=False) == LISTED | {"session-A": LISTED["session-A"].plus(answered(3))}


def test_all_that_a_session_hid_may_come_by_another_door(service):
    everything(service)
    service.record(COMPACTION, by_door(7, "session-A", at=datetime(2026, 11, 28, 0, 4, 23, 940_000, UTC)))
    assert "session-A" not in service.sums(unlisted=True)
    with service.store.reading() as tx:
        used = tx.rows("SELECT sum(used) FROM windows WHERE rule = 'day'")[0][0]
    assert used == sum(usage.tokens for usage in [*HIDDEN.values(), *LISTED.values()])


def test_a_call_after_the_last_total_takes_nothing_away(service):
    everything(service)
    lines = (CORPUS / "session-B.jsonl").read_text()
    prompt = {"type": "user", "timestamp": "2026-11-28T00:10:00.000Z"}
    (service.root / "session-B.jsonl").write_text(lines + json.dumps(prompt) + "\n")
    service.ingest.poll()
    service.record(by_door(5, "session-B", at=datetime(2026, 11, 28, 0, 10, 5, tzinfo=UTC), key="req_later"))
    assert service.sums(unlisted=True) == HIDDEN


def test_a_parent_s_file_that_is_gone_before_anything_was_read_leaves_its_use_to_its_forks(service):
    for name in ("session-B", "session-C"):
        service.put(name)
    service.ingest.poll()
    every = sum(u.tokens for some in (service.sums(unlisted=True), service.sums(unlisted=False)) for u in some.values())
    assert every == sum(answered(n).tokens for n in range(1, 7))


def test_pruned_calls_still_explain_their_part(service):
    everything(service)
    before = service.sums(unlisted=True)
    with service.store.transaction() as tx:
        pruned.prune(tx, recorded_before=NOW + timedelta(days=1), keys_before=NOW - timedelta(days=400))
    with service.store.transaction() as tx:
        tx.execute("INSERT INTO unsettled_sessions SELECT DISTINCT session FROM session_totals")
    assert (service.unlisted.settle(), service.events()) == (0, [])
    assert before == HIDDEN


def test_garbled_lines_near_good_ones_change_no_sum(service):
    chance = random.Random(7)
    for name in SESSIONS:
        lines = (CORPUS / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
        good = [line for line in lines if b'"usage"' in line or b'"cost-state"' in line]
        for _ in range(40):
            line = bytearray(chance.choice(good))
            del line[chance.randrange(len(line) - 1) :]
            lines.insert(chance.randint(0, len(lines)), bytes(line) + b"\n")
        (service.root / f"{name}.jsonl").write_bytes(b"".join(lines))
    service.ingest.poll()
    assert service.sums(unlisted=False) == LISTED
    assert service.sums(unlisted=True) == HIDDEN
    assert service.ingest.progress.errors > 100


def test_a_settled_session_waits_no_more(service):
    everything(service)
    with service.store.reading() as tx:
        assert session_totals.unsettled(tx, 10) == []
    os.utime(service.root / "session-A.jsonl")
    service.ingest.poll()
    shutil.rmtree(service.root)
    service.ingest.poll()
    assert service.sums(unlisted=True) == HIDDEN


def test_the_summary_keeps_it_apart_from_the_sums_of_calls(service):
    everything(service)
    with service.store.reading() as tx:
        summary = usage_document(tx, 30, ["model"])
    listed, hidden = LISTED.values(), HIDDEN.values()
    (row,), (beyond,) = summary["usage"], summary["unlisted"]
    assert (row["tokens"], row["requests"]) == (sum(usage.tokens for usage in listed), 11)
    assert (row["unlisted_tokens"], row["partial_answers"]) == (sum(usage.tokens for usage in hidden), 2)
    assert (beyond["input"], beyond["requests"]) == (sum(usage.input for usage in hidden), 0)
