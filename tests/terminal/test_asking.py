"""A thread asks: what it says while an answer is away, refused, or does not come at all."""

import threading
from typing import Any

import pytest

from quota_scheduler.errors import QuotaSchedulerError
from quota_scheduler.terminal.asking import HUNG_SECONDS, Asking, asked
from quota_scheduler.terminal.facts import Facts


class Away(QuotaSchedulerError):
    """Nobody answers."""

    code = "unreachable"


def raising(error: Exception) -> Any:
    def ask(_method: str, _path: str, _body: Any) -> Any:
        raise error

    return ask


@pytest.mark.parametrize(
    ("ask", "problem", "is_refused"),
    [
        pytest.param(raising(Away("nothing answers")), "nothing answers", False, id="it is away"),
        pytest.param(raising(QuotaSchedulerError("it said 401")), "it said 401", True, id="it refuses the token"),
        pytest.param(lambda *_: {}, "what answers is another version's service", False, id="it is of another version"),
    ],
)
def test_what_could_not_be_had_is_said(ask: Any, problem: str, is_refused: bool) -> None:
    facts = asked(ask, Facts("here"), lambda: 7.0)
    assert (facts.problem, facts.is_refused, facts.since, facts.heard_at) == (problem, is_refused, 7.0, None)


def test_a_service_that_hangs_is_said_to_long_before_it_is_given_up() -> None:
    hangs, is_asked = threading.Event(), threading.Event()

    def ask(_method: str, _path: str, _body: Any) -> Any:
        is_asked.set()
        hangs.wait(30)
        raise Away("it was given up")

    asking = Asking(ask, "here", every=60.0, heard=hangs.set)
    asking.start()
    assert is_asked.wait(10)
    since = asking._asked_at
    assert since is not None
    assert asking.seen(since + HUNG_SECONDS - 0.1).problem == ""
    seen = asking.seen(since + HUNG_SECONDS)
    assert (seen.problem, seen.since) == ("the service takes questions and does not answer them", since)
    hangs.set()
    asking.stop()
