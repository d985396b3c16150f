"""Judging reports: which window each is about, and how much of it is used."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.observations.judging import judge, month_before
from quota_scheduler.core.observations.observation import Observation, Standing
from quota_scheduler.core.observations.reported_window import Mark, Noticed, WindowChange
from tests.builders import HOUR, MINUTE, MONDAY, SECOND, an_observation, at

FIVE = 5 * HOUR
NOON = MONDAY.replace(hour=12)


def clock(text: str) -> datetime:
    """An instant of that Monday."""
    return at(f"2026-11-23T{text}Z")


def said(when: str, ratio: float | None, resets: str = "14:00:00", source: str = "statusline", **parts) -> Observation:
    """A report of that Monday; the window of most began at nine."""
    resets_at = clock(resets) if resets else None
    return an_observation(ratio, at=clock(when), resets_at=resets_at, source=source, **parts)


def told(*reports: Observation):
    """Of each window: when it ends, how much of it is used, as of when."""
    return [(f"{w.ends_at:%H:%M}", w.ratio, f"{w.observed_at:%H:%M}") for w in judge(reports, FIVE)]


@pytest.mark.parametrize(
    ("reports", "windows"),
    [
        pytest.param([], [], id="nothing was said"),
        pytest.param([said("10:00:00", 0.1)], [("14:00", 0.1, "10:00")], id="one report"),
        pytest.param(
            [
                said("10:00:00", 0.1, "13:59:59.950"),
                said("11:00:00", 0.2, "14:00:00.530"),
                said("11:05:00", 0.2, "14:01:50"),
            ],
            [("13:59", 0.2, "11:05")],
            id="a reset that jitters is one window",
        ),
        pytest.param(
            [said("10:00:00", 0.1), said("11:00:00", None), said("12:00:00", 0.1)],
            [("14:00", 0.1, "12:00")],
            id="the same again is as of now",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("10:30:00", 0.2)], [("14:00", 0.5, "10:00")], id="a lower one is an echo"
        ),
        pytest.param(
            [said("10:00:00", 0.5), *(said(f"10:{m}:00", 0.2) for m in range(10, 60, 5))],
            [("14:00", 0.5, "10:00")],
            id="an echo stays one, however often it is heard",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("10:30:00", 0.21), said("10:31:00", 0.2, source="headers")],
            [("14:00", 0.21, "10:31")],
            id="lower by two doors that agree is true",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("10:30:00", 0.3), said("10:31:00", 0.2, source="headers")],
            [("14:00", 0.5, "10:00")],
            id="lower by two doors that do not agree is not",
        ),
        pytest.param(
            [
                said("10:00:00", 0.5),
                said("10:10:00", 0.2),
                said("10:20:00", 0.51),
                said("10:31:00", 0.2, source="headers"),
            ],
            [("14:00", 0.51, "10:20")],
            id="nor where something higher was said between them",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("10:10:00", 0.2), said("10:30:00", 0.21), said("10:41:00", 0.22)],
            [("14:00", 0.22, "10:41")],
            id="lower reports of one door that grow for half an hour are true",
        ),
        pytest.param(
            [
                said("10:00:00", 0.5),
                said("10:10:00", 0.2),
                said("10:30:00", 0.3),
                said("10:41:00", 0.2),
                said("10:50:00", 0.3),
            ],
            [("14:00", 0.5, "10:00")],
            id="two idle clients of one door are two echoes",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("14:00:00.3", 0.51, "14:00:00.2"), said("14:10:00", 0.5)],
            [("14:00", 0.5, "10:00")],
            id="a report whose reset has passed says nothing",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("15:00:00", 0.02, "19:50:00")],
            [("14:00", 0.5, "10:00"), ("19:50", 0.02, "15:00")],
            id="after the reset another window",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("11:00:00", 0.03, "16:00:00")],
            [("11:00", 0.5, "10:00"), ("16:00", 0.03, "11:00")],
            id="lower with a later reset was reset early",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("11:00:00", 0.03, "16:00:00"), said("11:01:00", 0.51), said("11:02:00", 0.51)],
            [("11:00", 0.5, "10:00"), ("16:00", 0.03, "11:00")],
            id="and what still tells of the window before is an echo",
        ),
        pytest.param(
            [said("10:00:00", 0.1), said("12:00:00", 0.3, "16:50:00")],
            [("11:50", 0.1, "10:00"), ("16:50", 0.3, "12:00")],
            id="a later reset whose window begins after all that was heard is another window, though not lower",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("11:00:00", 0.6, "14:30:00")],
            [("14:00", 0.6, "11:00")],
            id="a later reset that is said once changes no end, but so much is used",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("11:00:00", 0.6, "14:30:00"), said("11:10:00", 0.6, "14:30:20")],
            [("14:30", 0.6, "11:10")],
            id="said twice it does",
        ),
        pytest.param(
            [
                said("10:00:00", 0.5),
                said("11:00:00", 0.6, "13:30:00"),
                said("11:05:00", 0.55),
                said("11:10:00", 0.6, "13:30:00"),
            ],
            [("14:00", 0.55, "11:05")],
            id="an earlier reset with something against it is no reset",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("11:00:00", 0.6, "13:30:00"), said("11:10:00", 0.6, "13:30:00")],
            [("13:30", 0.6, "11:10")],
            id="an earlier reset that is said twice is one",
        ),
        pytest.param(
            [said("10:00:00", 0.5, ""), said("11:00:00", 0.6)],
            [("14:00", 0.6, "11:00")],
            id="a person who names no reset speaks of the window that is open",
        ),
        pytest.param(
            [said("10:00:00", 0.5, ""), said("16:00:00", 0.1, "")],
            [("15:00", 0.5, "10:00"), ("21:00", 0.1, "16:00")],
            id="or of one that lasts as long as it does",
        ),
        pytest.param(
            [said("08:00:00", 0.5, ""), said("11:00:00", 0.1)],
            [("09:00", 0.5, "08:00"), ("14:00", 0.1, "11:00")],
            id="a window that begins after what was said of none is another",
        ),
        pytest.param(
            [said("10:00:00", 0.5), said("11:00:00", 0.6, "23:59:00")],
            [("14:00", 0.5, "10:00")],
            id="no five hours are that long",
        ),
        pytest.param([said("10:00:00", 1.02)], [("14:00", 1.02, "10:00")], id="more than all may be used"),
    ],
)
def test_windows(reports, windows):
    assert told(*reports) == windows


@pytest.mark.parametrize(
    ("reports", "exhausted", "overage", "ratio"),
    [
        pytest.param([said("10:00:00", 0.5)], False, False, 0.5, id="usage alone exhausts nothing"),
        pytest.param(
            [said("10:00:00", 0.5), said("11:00:00", None, standing=Standing.REJECTED)],
            True,
            False,
            1.0,
            id="a refusal does",
        ),
        pytest.param(
            [said("11:00:00", None, standing=Standing.REJECTED), said("11:20:00", 0.97)],
            True,
            False,
            1.0,
            id="also for echoes",
        ),
        pytest.param(
            [said("11:00:00", None, standing=Standing.REJECTED), said("11:20:00", 1.0, standing=Standing.ALLOWED)],
            False,
            False,
            1.0,
            id="until it is allowed again",
        ),
        pytest.param(
            [said("11:00:00", None, standing=Standing.REJECTED), said("11:20:00", 0.6, standing=Standing.ALLOWED)],
            False,
            False,
            0.6,
            id="and then as much is used as is said then",
        ),
        pytest.param(
            [said("11:00:00", 1.0, standing=Standing.REJECTED, overage=True)],
            False,
            True,
            1.0,
            id="or goes on for money",
        ),
        pytest.param(
            [said("11:00:00", 1.0, standing=Standing.REJECTED), said("11:05:00", 0.0, "16:05:00")],
            False,
            False,
            0.0,
            id="a reset ends it, early or not",
        ),
        pytest.param(
            [
                said("11:00:00", 1.0, standing=Standing.REJECTED),
                said("11:05:00", 0.9),
                said("11:06:00", 0.9, source="headers"),
            ],
            True,
            False,
            1.0,
            id="two idle clients that repeat what was before it do not",
        ),
        pytest.param(
            [
                said("11:00:00", 1.0, standing=Standing.REJECTED),
                *(said(f"11:{m}:00", r) for m, r in ((10, 0.25), (30, 0.26), (50, 0.28))),
            ],
            False,
            False,
            0.28,
            id="use that goes on lower down does: a larger plan was bought",
        ),
    ],
)
def test_what_a_provider_refuses(reports, exhausted, overage, ratio):
    window = judge(reports, FIVE)[-1]
    assert (window.exhausted, window.overage, window.ratio) == (exhausted, overage, ratio)


EARLY = [said("10:00:00", 0.5), said("11:00:00", 0.03, "16:00:00"), said("11:05:00", 0.04, "16:00:01")]
LOWERED = [said("10:00:00", 0.8), said("10:10:00", 0.4), said("10:11:00", 0.4, source="headers")]
LATER = [said("10:00:00", 0.5), said("11:00:00", 0.6, "14:30:00"), said("11:10:00", 0.6, "14:30:00")]


@pytest.mark.parametrize(
    ("reports", "notices"),
    [
        pytest.param(EARLY[:2], (), id="once is no news"),
        pytest.param(
            EARLY,
            (Noticed(WindowChange.EARLY_RESET, clock("11:00:00"), clock("14:00:00"), clock("16:00:00")),),
            id="an early reset",
        ),
        pytest.param(
            LOWERED, (Noticed(WindowChange.LOWERED, clock("10:10:00"), 0.8, 0.4),), id="less is used than was said"
        ),
        pytest.param(
            LATER,
            (Noticed(WindowChange.MOVED_RESET, clock("11:00:00"), clock("14:00:00"), clock("14:30:00")),),
            id="a reset that was moved",
        ),
    ],
)
def test_changes_are_noticed_after_two_reports(reports, notices):
    assert judge(reports, FIVE)[-1].notices == notices


def test_growth_is_marked_where_each_value_was_first_told():
    reports = [said("10:00:00", 0.1), said("10:10:00", 0.1), said("10:20:00", 0.12), said("10:30:00", 0.11)]
    (window,) = judge(reports, FIVE)
    assert window.marks == (Mark(clock("10:00:00"), 0.1), Mark(clock("10:20:00"), 0.12))


def test_a_window_has_begun_by_its_first_report():
    (window,) = judge([said("10:00:00", 0.4, "16:00:00")], FIVE)
    assert (window.began_at, window.ends_at) == (clock("10:00:00"), clock("16:00:00"))


def test_a_month_begins_a_month_before_its_reset():
    report = an_observation(0.5, at=NOON, resets_at=at("2026-12-01T00:00:00Z"))
    (window,) = judge([report], None)
    assert (window.began_at, month_before(at("2026-03-31T00:00:00Z"))) == (
        at("2026-11-01T00:00:00Z"),
        at("2026-02-28T00:00:00Z"),
    )


@pytest.mark.parametrize("reports", [EARLY, LOWERED, LATER], ids=["early", "lowered", "later"])
def test_the_order_in_which_reports_come_does_not_matter(reports):
    assert len({repr(judge(order, FIVE)) for order in permutations(reports)}) == 1


growing = st.lists(st.tuples(st.integers(1, 20), st.floats(0, 0.04)), min_size=1, max_size=12)
jitter = st.lists(st.floats(-59, 59), min_size=12, max_size=12)


@settings(max_examples=60, deadline=None)
@given(growing, jitter, st.randoms(use_true_random=False))
def test_jitter_and_order_make_no_other_window(steps, offsets, random):
    when, ratio, reports = NOON - HOUR, 0.0, []
    for (minutes, growth), offset in zip(steps, offsets, strict=False):
        when, ratio = when + minutes * MINUTE, ratio + growth
        if when >= NOON + 2 * HOUR:
            break
        resets_at = NOON + 3 * HOUR + timedelta(seconds=offset)
        reports.append(an_observation(round(ratio, 4), at=when, resets_at=resets_at))
    if not reports:
        return
    shuffled = random.sample(reports, len(reports))
    (window,) = judge(shuffled, FIVE)
    assert [window] == judge(reports, FIVE)
    assert window.ratio == pytest.approx(max(r.used_ratio for r in reports), abs=0.0006)
    assert abs(window.ends_at - (NOON + 3 * HOUR)) <= MINUTE


def test_a_report_that_is_heard_through_two_doors_counts_once():
    report = said("10:00:00", 0.5)
    (window,) = judge([report, replace(report, source="headers", observed_at=report.observed_at + SECOND)], FIVE)
    assert (window.ratio, window.marks, window.notices) == (0.5, (Mark(clock("10:00:00"), 0.5),), ())
