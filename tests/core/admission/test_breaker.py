"""A breaker over time: what opens it, how long it pauses, who tries, and what closes it."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.admission.breaker import (
    JITTER,
    LONGEST_ASKED,
    LONGEST_PAUSE,
    Breaker,
    BreakerPhase,
    answered,
    as_of,
    closed,
    given_back,
    let_in,
    refused,
)
from quota_scheduler.core.observations.observation import Throttle
from tests.builders import DAY, HOUR, MINUTE, MONDAY, SECOND


def a_throttle(at: datetime = MONDAY, *, asked: timedelta | None = None, account: str = "max-1") -> Throttle:
    return Throttle("anthropic", account, at, "api", asked)


def told(breaker: Breaker | None, now: datetime) -> tuple[str, float] | None:
    """The phase and the pause without its jitter, in seconds."""
    return None if breaker is None else (breaker.phase(now).value, breaker.pause.total_seconds())


def played(*steps: tuple[float, str]) -> list[tuple[str, float] | None]:
    """What holds after each step, told by seconds after Monday nine o'clock and what happens then."""
    breaker: Breaker | None = None
    seen = []
    for seconds, what in steps:
        now = MONDAY + seconds * SECOND
        breaker = as_of(breaker, now) if breaker else None
        word, _, amount = what.partition(" ")
        match word:
            case "refused":
                breaker = refused(breaker, a_throttle(now, asked=float(amount) * SECOND if amount else None), now)
            case "starts" if breaker:
                breaker = let_in(breaker, 7, now, running=True)
            case "offered" if breaker:
                breaker = let_in(breaker, 7, now, running=False)
            case "answers" if breaker:
                breaker = answered(breaker, now - float(amount or 0) * SECOND, now)
            case "succeeds" if breaker:
                breaker = closed(breaker, now)
            case "fails" if breaker:
                breaker = given_back(breaker, now, failed=True)
            case "gives_up" if breaker:
                breaker = given_back(breaker, now, failed=False)
        seen.append(told(breaker, now))
    return seen


OPEN, HALF, CLOSED = "open", "half_open", "closed"


@pytest.mark.parametrize(
    ("steps", "seen"),
    [
        pytest.param([(0, "refused")], [(OPEN, 5)], id="a refusal without a time pauses for five seconds"),
        pytest.param([(0, "refused 20"), (19, "look"), (23, "look")], [(OPEN, 20), (OPEN, 20), (HALF, 20)],
                     id="a refusal with a time pauses as long as asked, and a tenth of it at most"),
        pytest.param([(0, "refused 0")], [(OPEN, 5)], id="retry after nothing is no time at all"),
        pytest.param([(0, "refused"), (6, "starts"), (7, "refused"), (19, "starts"), (20, "refused")],
                     [(OPEN, 5), (HALF, 5), (OPEN, 10), (HALF, 10), (OPEN, 20)],
                     id="each probe that is refused doubles the pause"),
        pytest.param([(0, "refused 20"), (23, "starts"), (24, "refused 2")],
                     [(OPEN, 20), (HALF, 20), (OPEN, 40)], id="a shorter time asked for does not shorten it"),
        pytest.param([(0, "refused"), (1, "refused"), (2, "refused")], [(OPEN, 5)] * 3,
                     id="many runs refused at once are one refusal"),
        pytest.param([(0, "refused"), (1, "refused 60"), (30, "look")], [(OPEN, 5), (OPEN, 60), (OPEN, 60)],
                     id="while it is open a longer time asked for is kept"),
        pytest.param([(0, "refused"), (6, "starts"), (8, "succeeds")], [(OPEN, 5), (HALF, 5), (CLOSED, 5)],
                     id="a probe that gets through closes it"),
        pytest.param([(0, "refused"), (6, "starts"), (8, "answers 1")], [(OPEN, 5), (HALF, 5), (CLOSED, 5)],
                     id="usage since the probe began closes it"),
        pytest.param([(0, "refused"), (6, "starts"), (8, "answers 7")], [(OPEN, 5), (HALF, 5), (HALF, 5)],
                     id="usage from before the probe says nothing"),
        pytest.param([(0, "refused"), (2, "answers")], [(OPEN, 5), (OPEN, 5)],
                     id="usage of what runs does not end a pause"),
        pytest.param([(0, "refused"), (7, "answers 1")], [(OPEN, 5), (CLOSED, 5)],
                     id="usage after the pause needs no probe"),
        pytest.param([(0, "refused"), (6, "starts"), (125, "look"), (126, "look")],
                     [(OPEN, 5), (HALF, 5), (HALF, 5), (CLOSED, 5)], id="two minutes without a refusal close it"),
        pytest.param([(0, "refused"), (6, "offered"), (200, "look")], [(OPEN, 5), (HALF, 5), (HALF, 5)],
                     id="an offer is no probe before it is claimed"),
        pytest.param([(0, "refused"), (6, "starts"), (8, "fails"), (12, "look"), (14, "look")],
                     [(OPEN, 5), (HALF, 5), (OPEN, 5), (OPEN, 5), (HALF, 5)],
                     id="after a probe that failed nobody knows why the same pause follows"),
        pytest.param([(0, "refused"), (6, "starts"), (8, "gives_up")], [(OPEN, 5), (HALF, 5), (HALF, 5)],
                     id="after a probe that was given up the next one tries"),
        pytest.param([(0, "refused"), (6, "starts"), (8, "succeeds"), (60, "refused")],
                     [(OPEN, 5), (HALF, 5), (CLOSED, 5), (OPEN, 10)],
                     id="refused again soon after it closed, pauses go on growing"),
        pytest.param([(0, "refused"), (6, "starts"), (8, "succeeds"), (607, "look"), (608, "look"), (609, "refused")],
                     [(OPEN, 5), (HALF, 5), (CLOSED, 5), (CLOSED, 5), None, (OPEN, 5)],
                     id="ten minutes after it closed it is forgotten"),
        pytest.param([(0, "refused"), (606, "look")], [(OPEN, 5), None],
                     id="ten minutes after a pause in which nobody wanted to start it is forgotten"),
    ],
)  # fmt: skip
def test_over_time(steps, seen):
    assert played(*steps) == seen


@pytest.mark.parametrize(
    ("late", "asked", "opens"),
    [
        pytest.param(3 * SECOND, None, True, id="a refusal of three seconds ago"),
        pytest.param(3 * MINUTE, None, False, id="a refusal of three minutes ago that named no time"),
        pytest.param(3 * MINUTE, 2 * SECOND, False, id="a refusal whose time is over"),
        pytest.param(3 * MINUTE, HOUR, True, id="a refusal of three minutes ago for an hour"),
        pytest.param(-HOUR, None, True, id="a refusal of a clock that is ahead counts as of now"),
        pytest.param(400 * DAY, LONGEST_ASKED * 900, False, id="a refusal of last year that asked for years"),
    ],
)
def test_what_is_still_news(late, asked, opens):
    assert (refused(None, a_throttle(MONDAY - late, asked=asked), MONDAY) is not None) is opens


def test_a_refusal_of_before_the_probe_is_not_the_probes():
    probing = let_in(refused(None, a_throttle(), MONDAY), 7, MONDAY + 6 * SECOND, running=True)
    assert refused(probing, a_throttle(MONDAY + 5 * SECOND), MONDAY + 8 * SECOND) == probing


def test_two_accounts_do_not_come_back_together():
    pauses = {refused(None, a_throttle(account=name), MONDAY).until for name in ("a", "b", "c", "d")}
    assert len(pauses) == 4
    assert all(MONDAY + 5 * SECOND <= until <= MONDAY + 5.5 * SECOND for until in pauses)


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        pytest.param(2 * SECOND, "until", id="open: to the end of the pause"),
        pytest.param(7 * SECOND, None, id="half open: now"),
        pytest.param(9 * SECOND, "probe", id="probing: two minutes from its start at the latest"),
    ],
)
def test_until_when_the_next_one_waits(moment, told):
    breaker = refused(None, a_throttle(), MONDAY)
    probing = let_in(breaker, 7, MONDAY + 8 * SECOND, running=True)
    expected = {"until": breaker.until, None: None, "probe": MONDAY + 8 * SECOND + 2 * MINUTE}[told]
    assert (probing if told == "probe" else breaker).waits_until(MONDAY + moment) == expected


def test_a_clock_that_is_put_back_lengthens_no_pause():
    breaker = refused(None, a_throttle(asked=60 * SECOND), MONDAY)
    earlier = MONDAY - 3 * HOUR
    right = as_of(breaker, earlier)
    assert right == replace(breaker, opened_at=earlier, moved_at=earlier, until=breaker.until - 3 * HOUR)
    assert right.until - earlier <= 66 * SECOND


def test_a_clock_that_jumps_ahead_only_lets_it_try_early():
    breaker = refused(None, a_throttle(asked=60 * SECOND), MONDAY)
    assert as_of(breaker, MONDAY + 5 * MINUTE).phase(MONDAY + 5 * MINUTE) is BreakerPhase.HALF_OPEN


STEPS = st.lists(
    st.tuples(
        st.floats(-7200, 900),
        st.sampled_from(["refused", "refused 3", "refused 900", "starts", "offered", "answers", "succeeds", "fails",
                         "gives_up", "look"]),
    ),
    max_size=40,
)  # fmt: skip


@given(STEPS)
def test_whatever_happens_it_never_waits_longer_than_asked_or_ten_minutes(steps):
    breaker: Breaker | None = None
    now = MONDAY
    for seconds, what in steps:
        now += seconds * SECOND
        breaker = as_of(breaker, now) if breaker else None
        word, _, asked = what.partition(" ")
        if word == "refused":
            breaker = refused(breaker, a_throttle(now, asked=float(asked) * SECOND if asked else None), now)
        elif breaker and word in ("starts", "offered") and breaker.waits_until(now) is None:
            breaker = let_in(breaker, 7, now, running=word == "starts")
        elif breaker and word == "answers":
            breaker = answered(breaker, now, now)
        elif breaker and breaker.probe and word in ("succeeds", "fails", "gives_up"):
            breaker = closed(breaker, now) if word == "succeeds" else given_back(breaker, now, failed=word == "fails")
        if breaker and (until := breaker.waits_until(now)):
            assert now < until <= now + max(LONGEST_PAUSE, 900 * SECOND) * (1 + JITTER)


@given(st.lists(st.integers(0, 3600), max_size=30))
def test_it_opens_again_for_a_refusal_after_any_wait_and_closes_by_itself(waits):
    breaker: Breaker | None = None
    now = MONDAY
    for wait in waits:
        now += wait * SECOND
        breaker = as_of(breaker, now) if breaker else None
        breaker = refused(breaker, a_throttle(now), now)
        assert breaker is not None
        assert breaker.phase(now) is BreakerPhase.OPEN
    if breaker:
        assert as_of(breaker, breaker.until + HOUR) is None
