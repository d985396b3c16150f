"""Ready means it works: silence, refused writes and stuck passes, on a clock that is moved by hand."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from quota_scheduler.errors import StoreError
from quota_scheduler.health import Health
from quota_scheduler.readiness import first_pass_sentence
from tests.shell.edge import start


@dataclass
class Hands:
    """A monotonic clock, and what the health counted."""

    seconds: float = 1_000.0
    refused: int = 0
    health: Health = field(init=False)

    def __post_init__(self) -> None:
        self.health = Health(refused=self._count, clock=lambda: self.seconds)

    def _count(self) -> None:
        self.refused += 1


SILENCE = [
    pytest.param(2.0, 15.0, [], id="R8: fifteen seconds are nothing"),
    pytest.param(
        2.0, 16.0, ["the tick has not happened for 16 s, it is due every 2 s: see the log"], id="R8: more are"
    ),
    pytest.param(20.0, 60.0, [], id="R8: three intervals of a slow task"),
    pytest.param(20.0, 61.0, ["the tick has not happened for 61 s, it is due every 20 s: see the log"], id="R8: past"),
]


@pytest.mark.parametrize(("every", "silent", "problems"), SILENCE)
def test_R8_a_task_that_is_silent_is_told(every: float, silent: float, problems: list[str]) -> None:
    hands = Hands()
    hands.health.expect("the tick", every)
    hands.health.done("the tick")
    hands.seconds += silent
    assert hands.health.problems() == problems
    hands.health.done("the tick")
    assert hands.health.problems() == []


def test_R8_a_task_that_never_ran_is_told_too() -> None:
    hands = Hands()
    hands.health.expect("the tick", 2.0)
    hands.seconds += 16
    assert len(hands.health.problems()) == 1


def test_R8_nothing_is_expected_before_it_is_started() -> None:
    hands = Hands()
    hands.health.done("the tick")
    hands.seconds += 1_000
    assert hands.health.problems() == []


def test_R8_a_long_first_pass_works_as_long_as_it_gets_further() -> None:
    hands = Hands()
    hands.health.expect("reading claude_code", 1.0)
    for mark in range(10):
        hands.health.further("reading claude_code", mark)
        hands.seconds += 59
        assert hands.health.problems() == []
    hands.health.further("reading claude_code", 9)
    hands.seconds += 2
    assert hands.health.problems() == [
        "reading claude_code has not happened for 61 s, it is due every 1 s: see the log"
    ]


def test_R8_refused_writes_are_said_once_at_the_beginning_and_once_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    hands = Hands()
    for _ in range(3):
        hands.health.wrote(StoreError("the disk is full"))
        hands.seconds += 1
    assert hands.health.problems() == ["the database takes no writes: the disk is full"]
    hands.health.wrote(None)  # a small one, that a nearly full disk takes
    assert hands.health.problems() == ["the database takes no writes: the disk is full"]
    hands.seconds += 4
    hands.health.wrote(None)
    hands.health.wrote(None)
    assert hands.health.problems() == []
    assert hands.refused == 3
    assert caplog.messages == ["writes.refused error=the disk is full", "writes.taken_again after_seconds=7 refused=3"]


def test_R8_a_defect_of_ours_is_no_trouble_of_the_database() -> None:
    hands = Hands()
    hands.health.wrote(KeyError("x"))
    assert (hands.health.problems(), hands.refused) == ([], 0)


def test_R8_the_probe_says_what_a_source_and_the_messages_suffer_from(tmp_path: Path) -> None:
    edge = start(tmp_path)
    try:
        parts = edge.service.parts
        for ingest in parts.ingests:
            ingest._say_problem("the disk is full")
        parts.deliverer._say("ops", "the disk cannot be written")
        reply = edge.ask("GET", "/readyz")
        assert reply.status == 503
        assert reply.body["problems"][-1] == "messages: the disk cannot be written"
        assert reply.body["problems"][:-1] == [f"reading {ingest.name}: the disk is full" for ingest in parts.ingests]
    finally:
        edge.service.stop()


def test_R8_the_probe_says_what_does_not_work(tmp_path: Path) -> None:
    edge = start(tmp_path)
    try:
        edge.service.health.wrote(StoreError("the disk is full"))
        reply = edge.ask("GET", "/readyz")
        assert (reply.status, reply.body["problems"]) == (503, ["the database takes no writes: the disk is full"])
    finally:
        edge.service.stop()


@pytest.mark.parametrize(
    ("providers", "told"),
    [
        pytest.param({"openai", "anthropic"}, "anthropic, openai", id="by name"),
        pytest.param({""}, "agents that call several providers", id="an agent that has no provider of its own"),
        pytest.param({"openai", ""}, "openai, agents that call several providers", id="both"),
    ],
)
def test_whose_usage_is_read_for_the_first_time(providers, told):
    assert first_pass_sentence(providers) == f"usage of {told} is being read for the first time"
