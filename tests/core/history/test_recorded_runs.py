"""Recorded runs: calls joined to runs, and runs as their tickets asked for them."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.history.recorded_runs import Piece, RecordedRun, as_asked, in_vain, stitched
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.estimate import declared
from quota_scheduler.core.tickets.ticket import Lease, Ticket
from quota_scheduler.core.usage import Usage

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HAIKU = Labels("anthropic", model="claude-haiku-4-5")
OPUS = Labels("anthropic", model="claude-opus-4-8")


def piece(run, first, last, tokens, labels=HAIKU, priority=Priority.NORMAL):
    return Piece(run, labels, priority, NOON + first * MINUTE, NOON + last * MINUTE, Usage(output=tokens))


@pytest.mark.parametrize(
    ("pieces", "runs"),
    [
        pytest.param([], [], id="no calls are no runs"),
        pytest.param(
            [piece("a", 0, 30, 5), piece("a", 61, 90, 7)],
            [("a", 0, 90, 12)],
            id="half an hour between calls is one run",
        ),
        pytest.param(
            [piece("a", 0, 30, 5), piece("a", 91, 95, 7)],
            [("a", 0, 30, 5), ("a", 91, 4, 7)],
            id="more than an hour between calls makes two",
        ),
        pytest.param(
            [piece("a", 0, 10, 5), piece("b", 5, 9, 7)], [("a", 0, 10, 5), ("b", 5, 4, 7)], id="two runs side by side"
        ),
        pytest.param(
            [piece("a", 0, 10, 5), piece("a", 5, 9, 7, OPUS)],
            [("a", 0, 10, 5), ("a", 5, 4, 7)],
            id="a run with two models asks for each of them",
        ),
        pytest.param(
            [piece("", 0, 10, 5), piece("", 5, 9, 7)], [("", 0, 10, 5), ("", 5, 4, 7)], id="what names no run is one"
        ),
        pytest.param(
            [piece("a", 20, 30, 5), piece("a", 0, 25, 7)], [("a", 0, 30, 12)], id="in whatever order they come"
        ),
    ],
)
def test_calls_are_joined_to_runs(pieces, runs):
    joined = [(run.name, (run.at - NOON) // MINUTE, run.length // MINUTE, run.usage.tokens) for run in stitched(pieces)]
    assert joined == runs


TICKET = Ticket(
    1,
    "k",
    "",
    HAIKU,
    Priority.LOW,
    declared(Usage(output=50))._replace(duration=20 * MINUTE),
    NOON - 10 * MINUTE,
    NOON - 10 * MINUTE,
    timedelta(hours=4),
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, (None, 5), id="it asked when it was submitted, and waits as its class does"),
        pytest.param({"deadline": NOON + 50 * MINUTE}, (60, 5), id="a deadline is its patience"),
        pytest.param(
            {"deadline": NOON + 50 * MINUTE, "wait_until": NOON}, (10, 5), id="the earlier of the two it gave"
        ),
        pytest.param(
            {"lease": Lease(1, NOON, NOON, 4 * MINUTE, ended_at=NOON + 30 * MINUTE)},
            (None, 30),
            id="its lease says how long it took",
        ),
    ],
)
def test_a_run_is_taken_as_its_ticket_asked(change, expected):
    run = RecordedRun("ticket:1", HAIKU, Priority.LOW, NOON, 5 * MINUTE, Usage(output=70))
    asked = as_asked(run, TICKET._replace(**change))
    patience = asked.patience and asked.patience // MINUTE
    assert asked == replace(
        run,
        at=NOON - 10 * MINUTE,
        length=expected[1] * MINUTE,
        reserve=Usage(output=50, requests=0),
        patience=asked.patience,
    )
    assert patience == expected[0]


def test_what_waited_in_vain_counts_with_what_was_expected_of_it():
    assert in_vain(TICKET) == RecordedRun(
        "ticket:1", HAIKU, Priority.LOW, NOON - 10 * MINUTE, 20 * MINUTE, Usage(output=50), Usage(output=50), None
    )
