"""The stream of events over a real socket, and what is kept for all who look."""

import asyncio
import http.client
from contextlib import closing

import pytest

from quota_scheduler.page.kept import MOST, KeptForAll
from tests.page.seen import seen_in
from tests.page.tokens import TOKENS, VIEWER
from tests.shell.edge import ticket

LIMITS = "limits: [{id: d, unit: tokens, amount: 1M, window: day}]\n"


class Stream:
    """One who listens."""

    def __init__(self, service, token=""):
        self._connection = http.client.HTTPConnection("127.0.0.1", service.serving.port, timeout=20)
        self._connection.request(
            "GET", "/v1/page/events", headers={"Authorization": f"Bearer {token}"} if token else {}
        )
        self.reply = self._connection.getresponse()

    def event(self) -> str:
        """The name of the next event that is no beat."""
        while line := self.reply.readline():
            if line.startswith(b"event: ") and line != b"event: beat\n":
                return line.decode().removeprefix("event: ").strip()
        return "ended"

    def close(self) -> None:
        """Listen no more."""
        self._connection.close()


def test_it_tells_at_once_and_then_whatever_moves(tmp_path):
    with seen_in(tmp_path, LIMITS) as service, closing(Stream(service)) as stream:
        assert stream.reply.getheader("Content-Type").startswith("text/event-stream")
        assert stream.event() == "news"
        service.ask("POST", "/v1/tickets", ticket("a", 10))
        assert stream.event() == "news"
        service.tick()
        assert stream.event() == "news"
        service.ask("POST", "/v1/hold", {"on": True})
        assert stream.event() == "news"


def test_it_ends_with_its_token(tmp_path):
    with seen_in(tmp_path, LIMITS + TOKENS) as service, closing(Stream(service, VIEWER)) as stream:
        assert stream.event() == "news"
        tokens, service.serving.service.tokens = (
            service.serving.service.tokens,
            type(service.serving.service.tokens)(()),
        )
        assert tokens
        assert stream.event() == "token"
        assert stream.event() == "ended"


def test_it_says_that_the_service_leaves(tmp_path):
    with seen_in(tmp_path, LIMITS) as service, closing(Stream(service)) as stream:
        assert stream.event() == "news"
        service.serving.service.drain()
        assert (stream.event(), stream.event()) == ("leaving", "ended")


class Clock:
    """A clock that is set by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("later", "made"),
    [
        pytest.param(0.5, 1, id="what is young is kept"),
        pytest.param(1.0, 2, id="what is old is made anew"),
    ],
)
def test_a_value_is_kept_for_some_moments(later, made):
    async def asked() -> int:
        clock, times = Clock(), []

        async def make() -> int:
            times.append(1)
            return len(times)

        kept = KeptForAll(clock)
        await asyncio.gather(*(kept.get("a", 1.0, make) for _ in range(3)))
        clock.seconds = later
        return await kept.get("a", 1.0, make)

    assert asyncio.run(asked()) == made


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        pytest.param(1.0, "made", id="young enough"),
        pytest.param(0.5, None, id="too old"),
    ],
)
def test_what_was_made_last_is_there_while_it_is_young(seconds, found):
    async def asked() -> tuple[str | None, str | None]:
        clock = Clock()
        kept = KeptForAll(clock)
        kept.put("a", "made")
        clock.seconds = 0.7
        return kept.last("a", seconds), kept.last("b", 9.0)

    assert asyncio.run(asked()) == (found, None)


def test_a_failure_is_told_to_all_and_not_kept():
    async def asked() -> tuple[list[str], int]:
        kept = KeptForAll(Clock())

        async def fail() -> int:
            raise ValueError("away")

        async def work() -> int:
            return 7

        failures = await asyncio.gather(*(kept.get("a", 9.0, fail) for _ in range(2)), return_exceptions=True)
        return [str(one) for one in failures], await kept.get("a", 9.0, work)

    assert asyncio.run(asked()) == (["away", "away"], 7)


def test_many_keys_do_not_fill_the_memory():
    async def asked() -> int:
        kept = KeptForAll(Clock())

        async def work() -> int:
            return 1

        for key in range(3 * MOST):
            await kept.get(key, 9.0, work)
        return len(kept._values)

    assert asyncio.run(asked()) <= MOST
