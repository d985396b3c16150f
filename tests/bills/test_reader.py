"""Reading reports from a server: page by page, over restarts, left alone when it asks for it."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from quota_scheduler.bills import anthropic
from quota_scheduler.bills.reader import BillReader
from quota_scheduler.core.observations.bill import BillCursor, Report
from quota_scheduler.outbound import OtherServer
from quota_scheduler.service.keep_bills import KeptBills, bill_lines, ceilings_document
from quota_scheduler.store import Store, Transaction, bills

NOW = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


@dataclass
class Provider:
    """A server of Anthropic's reports: one row an hour, some rows a page; ``answers`` come before all that."""

    page_rows: int = 100
    tokens: int = 10
    answers: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    fails_at: str = ""
    rates: list[Any] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def answer(self, path: str) -> tuple[int, dict[str, str], str]:
        self.asked.append(path)
        if self.fails_at and self.fails_at in path:
            self.fails_at = ""
            return 503, {}, ""
        if self.answers:
            return self.answers.pop(0)
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        rows: list[Any] = []
        if path.startswith("/v1/organizations/analytics/usage"):
            start, end = (datetime.fromisoformat(query[name]) for name in ("starting_at", "ending_at"))
            rows = [
                {"starting_at": iso(start + n * HOUR), "ending_at": iso(start + (n + 1) * HOUR),
                 "group": {"model": "claude-opus-5"}, "usage": {"output_tokens": self.tokens, "requests": 1}}
                for n in range((end - start) // HOUR)
            ]  # fmt: skip
        if path.startswith("/v1/organizations/rate_limits"):
            rows = self.rates
        first = int(query.get("page", "0"))
        last = first + self.page_rows
        more = {"has_more": last < len(rows), "next_page": str(last) if last < len(rows) else None}
        return 200, {}, json.dumps({"data": rows[first:last], **more})


class Place:
    """A provider's server, a database, and a reader that begins anew with each ``restart``."""

    def __init__(self, folder: Path) -> None:
        self.provider, self.now = Provider(), NOW
        provider = self.provider

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.keys.add(self.headers["x-api-key"])
                status, headers, content = provider.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.store = Store(folder / "q.db", clock=lambda: self.now)
        self.restart()

    def restart(self) -> None:
        """A process that knows nothing but the database."""
        self.reader = BillReader(
            name="anthropic/org",
            account="org",
            server=OtherServer(
                f"http://127.0.0.1:{self.server.server_address[1]}", headers=anthropic.headers("secret"), seconds=5
            ),
            readers=anthropic.readers("analytics")[:1],
            keeper=KeptBills("anthropic", "org", store=self.store, do=self._do, limits=tuple),
            clock=lambda: self.now,
            every=HOUR,
        )

    def _do(self, work: Callable[[Transaction], Any]) -> "Future[Any]":
        done: Future[Any] = Future()
        with self.store.transaction() as tx:
            done.set_result(work(tx))
        return done

    def tokens(self) -> int:
        """What the database knows to have been counted."""
        with self.store.reading() as tx:
            lines = bill_lines(tx, NOW - 400 * DAY, NOW + 400 * DAY)
        assert {line.report for line in lines} <= {Report.USAGE}
        return sum(line.usage.output for line in lines)

    def cursor(self) -> BillCursor | None:
        return self.reader.keeper.cursor("usage")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.store.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


HOURS = 31 * 24 + 1
"""From noon a month ago to the end of the running hour."""


def test_the_first_reading_is_of_a_month_and_later_ones_of_what_may_have_changed(place):
    place.reader.poll()
    assert place.tokens() == HOURS * 10
    assert place.provider.keys == {"secret"}
    asked = len(place.provider.asked)
    place.reader.poll()
    assert len(place.provider.asked) == asked  # nothing is due
    place.now, place.provider.tokens = NOW + HOUR, 11
    place.reader.poll()
    # the running hour and the three before it have settled anew, and one more has come
    again = [path for path in place.provider.asked[asked:] if "starting_at" in path]
    assert parse_qs(urlsplit(again[0]).query)["starting_at"] == ["2026-11-27T09:00:00Z"]
    assert place.tokens() == (HOURS - 4) * 10 + 5 * 11


def test_a_restart_between_two_pages_goes_on_with_the_next(place):
    place.provider.page_rows = 300
    place.provider.fails_at = "page=600"
    place.reader.poll()
    assert place.tokens() == 600 * 10
    assert (place.reader.problem.split(" answered ")[1], place.cursor().page) == ("503", "600")
    place.restart()
    place.reader.poll()
    assert (place.tokens(), place.cursor().page, place.reader.problem) == (HOURS * 10, "", "")
    assert [parse_qs(urlsplit(path).query).get("page", ["0"]) for path in place.provider.asked] == [
        ["0"], ["300"], ["600"], ["600"], ["0"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "problem", "quiet"),
    [
        pytest.param((429, {"retry-after": "3000"}, ""), "answered 429", 3000, id="left alone as long as it asks"),
        pytest.param((429, {}, ""), "answered 429", 60, id="a minute where it does not say"),
        pytest.param((429, {"retry-after": "1"}, ""), "answered 429", 60, id="never sooner than a minute"),
        pytest.param((500, {}, ""), "answered 500", 60, id="a fault of the server"),
        pytest.param((401, {}, ""), "refuses the key (401)", 3600, id="a key that is refused"),
        pytest.param((404, {}, ""), "choose the other generation with `api`", 3600, id="no such report"),
        pytest.param((200, {}, "<html>"), "is no usage report", 60, id="a page of a proxy"),
        pytest.param((200, {}, "{}"), "it has no list `data`", 60, id="another answer"),
        pytest.param(
            (302, {"location": "http://127.0.0.1:1/"}, ""), "answered 302", 60, id="a redirect is not followed"
        ),
    ],
)
def test_what_a_server_says_no_with(place, answer, problem, quiet):
    place.provider.answers = [answer]
    place.reader.poll()
    assert problem in place.reader.problem
    assert "secret" not in place.reader.problem
    place.now = NOW + timedelta(seconds=quiet - 1)
    place.reader.poll()
    assert len(place.provider.asked) == 1
    place.now = NOW + timedelta(seconds=quiet)
    place.reader.poll()
    assert (place.reader.problem, place.tokens() >= HOURS * 10) == ("", True)


def test_the_mark_of_a_page_that_is_not_good_any_more_begins_the_span_again(place):
    place.provider.page_rows = 300
    place.provider.answers = [(200, {}, json.dumps({"data": [], "has_more": True, "next_page": "7"})), (400, {}, "")]
    place.reader.poll()
    assert (place.tokens(), place.reader.problem) == (HOURS * 10, "")


def test_a_server_that_is_away_and_comes_back(place):
    port = place.server.server_address[1]
    place.reader.server = OtherServer("http://127.0.0.1:9", headers={}, seconds=1)
    place.reader.poll()
    assert place.reader.problem.startswith("nothing answers at http://127.0.0.1:9 (")
    place.reader.server = OtherServer(f"http://127.0.0.1:{port}", headers={"x-api-key": "k"}, seconds=5)
    place.now = NOW + timedelta(minutes=2)
    place.reader.poll()
    assert (place.tokens(), place.reader.problem) == (HOURS * 10, "")


def test_it_is_behind_from_the_second_missed_reading_on(place):
    place.reader.poll()
    assert place.reader.source_reading(NOW + 2 * HOUR).lag_seconds == 0
    assert place.reader.source_reading(NOW + 5 * HOUR).lag_seconds == 3 * 3600


def test_what_is_allowed_is_kept_and_old_lines_leave(place):
    place.reader.readers = anthropic.readers("analytics")
    rates = {"group_type": "batch", "models": None, "limits": [{"type": "enqueued", "value": 9}]}
    place.provider.rates = [rates]
    place.reader.poll()
    place.provider.rates = [rates | {"limits": [{"type": "enqueued", "value": 8}]}]
    place.now = NOW + 2 * HOUR
    place.reader.poll()
    with place.store.transaction() as tx:
        (ceiling,) = ceilings_document(tx)["ceilings"]
        bills.prune(tx, NOW - 30 * DAY)
    assert (ceiling["group"], ceiling["limiter"], ceiling["value"]) == ("batch", "enqueued", 8)
    assert place.tokens() == (30 * 24 + 3) * 10
