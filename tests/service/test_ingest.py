"""Passes over transcripts on disk into a real store: whatever stands in a folder or a line, the rest is counted."""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.pricing import Priced, PriceRates
from quota_scheduler.core.usage import PriceTerms, Usage
from quota_scheduler.errors import DatabaseAway, StoreError
from quota_scheduler.service.ingest import SLICE, Ingest
from quota_scheduler.sources import claude_code
from quota_scheduler.store import Store, Transaction
from quota_scheduler.store.engine import reason
from tests.full_disk import full_disk

NOBODY = 65_534
UNREADABLE = 666
"""Input tokens that the price table of these tests cannot take."""


class Prices:
    """A price table that has a defect."""

    def price(self, _labels: Labels, usage: Usage, _at: datetime, _terms: PriceTerms) -> Priced:
        if usage.input == UNREADABLE:
            raise OverflowError("no price is so large")
        return Priced(0, estimated=False)

    def rates(self, _labels: Labels, _at: datetime, _terms: PriceTerms) -> tuple[tuple[PriceRates, ...], bool]:
        return (), False


class Reading:
    """An ingest of the transcripts under a folder, and what it has written down."""

    def __init__(self, store: Store, root: Path) -> None:
        self.store = store
        self.ingest = Ingest(
            claude_code.NAME,
            claude_code.PROVIDER,
            partial(claude_code.scan, [root], labeller=claude_code.labeller()),
            store=store,
            do=self.do,
            prices=Prices(),
            limits=lambda: (),
        )

    def do(self, work: Callable[[Transaction], Any]) -> "Future[Any]":
        """Write at once, and fail as the writer fails."""
        future: Future[Any] = Future()
        try:
            with self.store.transaction() as tx:
                result = work(tx)
            future.set_result(result)  # after the commit, which may be what fails
        except Exception as error:
            future.set_exception(reason(error))
        return future

    def passes(self, count: int = 1) -> "Reading":
        for _ in range(count):
            self.ingest.poll()
        return self

    @property
    def tokens(self) -> int:
        with self.store.reading() as tx:
            return int(tx.scalar("SELECT coalesce(sum(input + output), 0) FROM events"))

    @property
    def errors(self) -> tuple[int, int]:
        """As shown, and as counted for good."""
        with self.store.reading() as tx:
            counted = tx.scalar("SELECT coalesce(sum(value), 0) FROM counters WHERE name = 'quota_source_errors_total'")
        return self.ingest.progress.errors, int(counted)


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that every user may enter."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def reading(tmp_path: Path, root: Path) -> Iterator[Reading]:
    with Store(tmp_path / "quota.db") as store:
        yield Reading(store, root)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "quota_scheduler.service.ingest")
    return lambda: [line.getMessage() for line in caplog.records if "caught_up" not in line.getMessage()]


def a_line(key: str, tokens: int = 100) -> bytes:
    line = {
        "type": "assistant", "timestamp": datetime.now(UTC).isoformat(), "requestId": key, "sessionId": "s1",
        "cwd": "/srv/app",
        "message": {"id": f"m-{key}", "model": "claude-opus-5", "usage": {"input_tokens": tokens, "output_tokens": 10}},
    }  # fmt: skip
    return json.dumps(line).encode() + b"\n"


def twenty_projects(root: Path) -> Path:
    for number in range(20):
        (root / f"-srv-p{number}").mkdir()
        (root / f"-srv-p{number}" / "s.jsonl").write_bytes(a_line(f"r{number}"))
    return root


DEEP = b'{"type":"assistant","message":{"usage":' + b"[" * 1200 + b"]" * 1200 + b"}}\n"


def test_R5_a_line_nested_1200_deep_is_garbled_with_its_place_and_everything_else_is_read(reading, root, said):
    before = a_line("r1")
    (root / "p").mkdir()
    (root / "p" / "a.jsonl").write_bytes(before + DEEP + a_line("r2"))
    (root / "p" / "b.jsonl").write_bytes(a_line("r3"))
    reading.passes(3)
    assert (reading.tokens, reading.errors, reading.ingest.progress.catching_up) == (330, (1, 1), False)
    assert said() == [f"source.garbled source=claude_code line={root}/p/a.jsonl, byte {len(before)}"]
    again = Reading(reading.store, root).passes()
    assert (again.tokens, again.ingest.progress.catching_up) == (330, False)


def a_link_to_itself(root: Path) -> str:
    (root / "loop").symlink_to("loop")
    return f"{root}/loop: Too many levels of symbolic links"


def a_file_that_links_to_itself(root: Path) -> str:
    (root / "x.jsonl").symlink_to("x.jsonl")
    return f"{root}/x.jsonl: Too many levels of symbolic links"


def a_name_that_is_not_utf8(root: Path) -> str:
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.jsonl")).write_bytes(a_line("bad"))
    return f"{root}/�.jsonl: its name is not UTF-8"


def a_link_into_a_folder_that_may_not_be_entered(root: Path) -> str:
    (root / "hidden" / "of").mkdir(parents=True)
    (root / "shared").symlink_to("hidden/of")
    (root / "hidden").chmod(0)
    return f"{root}/hidden: Permission denied|{root}/shared: Permission denied"


def a_file_that_may_not_be_read(root: Path) -> str:
    (root / "secret.jsonl").write_bytes(a_line("secret"))
    (root / "secret.jsonl").chmod(0)
    return f"{root}/secret.jsonl: Permission denied"


@pytest.fixture
def nobody(reading: Reading) -> Iterator[None]:
    """Not root while it reads: root may enter everything."""
    reading.passes()  # opens the database while it may
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(a_link_to_itself, id="B4: a link to itself"),
        pytest.param(a_file_that_links_to_itself, id="R17: a file that links to itself"),
        pytest.param(a_name_that_is_not_utf8, id="R17: a name that is not UTF-8"),
        pytest.param(a_link_into_a_folder_that_may_not_be_entered, id="B4: a folder that may not be entered"),
        pytest.param(a_file_that_may_not_be_read, id="B4: a file that may not be read"),
    ],
)
def test_B4_R17_one_entry_that_cannot_be_read_hides_no_other_and_is_named_once(reading, root, said, spoil):
    euid = os.geteuid()
    os.seteuid(os.getuid())
    entries = sorted(spoil(twenty_projects(root)).split("|"))
    os.seteuid(euid)
    reading.passes(3)
    assert said() == [f"source.unreadable source=claude_code file={entry}" for entry in entries]
    assert (reading.tokens, reading.errors) == (2_200, (len(entries), len(entries)))
    assert not reading.ingest.progress.catching_up


def test_an_entry_that_can_be_read_again_is_told_and_a_new_one_is_named_as_well(reading, root, said):
    first = a_link_to_itself(twenty_projects(root))
    reading.passes(2)
    (root / "loop").unlink()
    second = a_file_that_links_to_itself(root)
    reading.passes(2)
    assert said() == [
        f"source.unreadable source=claude_code file={first}",
        f"source.unreadable source=claude_code file={second}",
        f"source.readable_again source=claude_code file={first}",
    ]
    assert reading.errors == (2, 2)


def test_a_file_that_vanished_is_forgotten_though_a_link_cannot_be_followed(reading, root):
    a_link_to_itself(twenty_projects(root))
    reading.passes()
    shutil.rmtree(root / "-srv-p7")
    reading.passes()
    assert reading.ingest.progress.files == 19


def test_R5_an_event_that_cannot_be_recorded_keeps_no_other_from_counting(reading, root, said):
    lines = [a_line("r1"), a_line("bad", UNREADABLE), a_line("r2")]
    (root / "a.jsonl").write_bytes(b"".join(lines))
    reading.passes(2)
    assert said() == [
        "source.one_by_one source=claude_code events=3 reason=OverflowError('no price is so large')",
        "source.event_refused source=claude_code key='bad' error=OverflowError('no price is so large')",
    ]
    assert (reading.tokens, reading.errors, reading.ingest.progress.catching_up) == (220, (1, 1), False)


def test_R8_a_full_disk_is_told_once_when_it_begins_and_once_when_it_ends(reading, root, said):
    (root / "a.jsonl").write_bytes(a_line("r1"))
    with full_disk(reading.store, "INSERT", "events"):
        for _ in range(3):
            with pytest.raises(StoreError):
                reading.passes()
    problem = reading.ingest.progress.problem
    reading.passes()
    assert said() == [
        f"source.stopped source=claude_code error={problem}", f"source.goes_on source=claude_code after={problem}"
    ]  # fmt: skip
    assert (problem.startswith("the disk is full"), reading.ingest.progress.problem, reading.tokens) == (True, "", 110)


def test_a_database_that_is_away_in_ever_other_words_is_told_once(reading, root, said, monkeypatch):
    (root / "a.jsonl").write_bytes(a_line("r1"))
    write, words = reading.do, iter(["connection refused", "no connection within 0.5 s", "connection refused"])

    def away(work: Callable[[Transaction], Any]) -> "Future[Any]":
        word = next(words, "")
        if not word:
            return write(work)
        failed: Future[Any] = Future()
        failed.set_exception(DatabaseAway(word))
        return failed

    monkeypatch.setattr(reading.ingest, "_do", away)
    for _ in range(3):
        with pytest.raises(DatabaseAway):
            reading.passes()
    reading.passes()
    assert said() == [
        "source.stopped source=claude_code error=connection refused",
        "source.goes_on source=claude_code after=connection refused",
    ]


def test_trouble_ends_with_a_pass_that_has_nothing_to_read(reading):
    with reading.store.transaction() as tx:
        tx.execute("INSERT INTO unsettled_sessions (session) VALUES ('s')")
    with full_disk(reading.store, "DELETE", "unsettled_sessions"), pytest.raises(StoreError):
        reading.passes()
    problem = reading.ingest.progress.problem
    assert (bool(problem), reading.passes().ingest.progress.problem) == (True, "")


def test_after_the_first_pass_a_file_comes_in_slices_and_counts_once_when_one_fails(reading: Reading, root: Path):
    (root / "first.jsonl").write_bytes(a_line("first"))
    reading.passes()
    (root / "grown.jsonl").write_bytes(b"".join(a_line(f"r{number}") for number in range(3 * SLICE)))
    came: list[int | str] = []
    write = reading.do

    def fails_once(work: Callable[[Transaction], Any]) -> "Future[Any]":
        if len(came) == 2 and "full" not in came:
            came.append("full")
            full: Future[Any] = Future()
            full.set_exception(StoreError("the disk is full"))
            return full
        before = reading.tokens
        future = write(work)
        came.append((reading.tokens - before) // 110)
        return future

    reading.ingest._do = fails_once
    with pytest.raises(StoreError):
        reading.passes()
    reading.passes()
    assert [one for one in came if one] == [SLICE, SLICE, "full", SLICE]
    assert reading.tokens == 110 * (3 * SLICE + 1)
