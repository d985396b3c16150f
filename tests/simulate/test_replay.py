"""Replays: tiny recordings whose outcome is computed by hand, for each policy; what is counted adds up."""

import random
import re
from datetime import UTC, datetime, timedelta

import pytest

from quota_scheduler.core.history.recorded_runs import RecordedRun, Recording
from quota_scheduler.core.labels import Labels, match_of
from quota_scheduler.core.limits.limit import Limit, Mode
from quota_scheduler.core.limits.schedule import Calendar, Every, PerRun, Session
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from quota_scheduler.simulate.policies import POLICIES
from quota_scheduler.simulate.replay import NothingToReplay, Replay, replay_document
from quota_scheduler.simulate.what_if import WhatIf

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAILY = Limit("daily", Unit.TOKENS, 1000, Calendar(Every.DAY))


def run(hour, tokens, priority="normal", *, hours=1.0, patience=None, reserve=None, team="", model="", usd=0.0):
    """One run that asks at an hour after Monday began."""
    return RecordedRun(
        f"{hour}/{priority}",
        Labels("anthropic", model=model, team=team),
        Priority(priority),
        MONDAY + hour * HOUR,
        hours * HOUR,
        Usage(output=tokens, requests=1).costing(round(usd * 10**12)),
        None if reserve is None else Usage(output=reserve),
        None if patience is None else patience * HOUR,
    )


def play(*runs, under=(DAILY,), days=1, **asked):
    asked.setdefault("policies", POLICIES)
    one = Replay(Recording(tuple(runs)), under, WhatIf(**asked), MONDAY, MONDAY + timedelta(days=days))
    return replay_document(one)


def figures(document, policy, case=-1):
    return next(row for row in document["cases"][case]["policies"] if row["policy"] == policy)


def by_class(document, policy, name, *fields):
    return tuple(figures(document, policy)["classes"][name][field] for field in fields)


NIGHT_THEN_PERSON = (
    run(1, 600, "low", hours=2),
    run(2, 600, "low", hours=2),
    run(10, 400, "interactive", hours=1),
)
"""Two runs at night, of which one is too many for the person at ten: 1,600 asked of 1,000."""


@pytest.mark.parametrize(
    ("policy", "low", "interactive", "limit"),
    [
        # Both start. From 2:00 they use 600 an hour: at 2:00 300 are used, at 3:00 900 and the first is done, and the
        # rest, 100, lasts 20 minutes. The second has done 400 of 600 and redoes 120; nothing is left for the person.
        pytest.param("none", (600 + 280, 0, 320, 1), (0, 400, 0), (1000, 120, 0, 0), id="none overshoots"),
        pytest.param(
            "fixed90", (600 + 280, 0, 320, 1), (0, 400, 0), (1000, 120, 0, 0), id="fixed90 looks at use alone"
        ),
        # The second does not fit beside what the first reserved: 400 are left, and the person uses them.
        pytest.param("safe", (600, 0, 600, 0), (400, 0, 0), (1000, 0, 0, 0), id="safe counts what is reserved"),
        # Without history a tenth is kept for people until the last tenth of the day: the second still does not fit.
        pytest.param("two-sided", (600, 0, 600, 0), (400, 0, 0), (1000, 0, 0, 0), id="two-sided keeps it for people"),
        pytest.param("clairvoyant", (600, 0, 600, 0), (400, 0, 0), (1000, 0, 0, 0), id="the clairvoyant knew of them"),
    ],
)
def test_a_night_and_a_person(policy, low, interactive, limit):
    document = play(*NIGHT_THEN_PERSON)
    assert by_class(document, policy, "low", "done", "denied", "unfinished", "cut_off") == low
    assert by_class(document, policy, "interactive", "done", "denied", "unfinished") == interactive
    (daily,) = figures(document, policy)["limits"]
    assert tuple(daily[name] for name in ("used", "redone", "unused", "unfinished")) == limit


def test_fixed90_stops_automation_at_ninety_per_cent_and_not_people():
    document = play(run(1, 900), run(3, 50), run(4, 100, "interactive"), policies=("none", "fixed90"))
    assert by_class(document, "none", "normal", "done") == (950,)
    assert by_class(document, "none", "interactive", "denied", "cut_off") == (50, 1)
    assert by_class(document, "fixed90", "normal", "done", "unfinished") == (900, 50)
    assert by_class(document, "fixed90", "interactive", "done", "cut_off") == (100, 0)


def test_fixed_thresholds_stop_normal_work_at_eighty_and_low_by_projection():
    document = play(run(1, 800), run(3, 50), run(4, 50, "low"), run(5, 50, "high"), policies=("seed",))
    assert by_class(document, "fixed-thresholds", "normal", "done", "unfinished") == (800, 50)
    assert by_class(document, "fixed-thresholds", "low", "unfinished") == (50,)
    assert by_class(document, "fixed-thresholds", "high", "done") == (50,)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        # 500 expire while a run that could have used 100 an hour since 1:00 waits for its 500
        pytest.param([run(0, 500), run(1, 900, hours=9)], (500, 500), id="what expires while somebody waits is lost"),
        pytest.param([run(0, 500)], (500, 0), id="what nobody waits for is only unused"),
    ],
)
def test_what_is_unused_and_lost(runs, expected):
    document = play(*runs, policies=("safe",), days=1)
    (daily,) = figures(document, "safe")["limits"]
    assert (daily["unused"], daily["lost"]) == expected


def test_a_run_that_waits_starts_at_the_reset_and_says_how_long_it_waited():
    document = play(run(1, 800), run(2, 800), policies=("safe",), days=2)
    assert by_class(document, "safe", "normal", "done", "wait_mean_hours") == (1600, 11.0)


def test_patience_ends_a_wait():
    document = play(run(1, 800), run(2, 800, patience=5), policies=("safe",), days=2)
    assert by_class(document, "safe", "normal", "done", "denied") == (800, 800)


def test_what_was_used_before_the_start_is_in_the_window():
    one = Replay(
        Recording((run(1, 700), run(12, 400))),
        (DAILY,),
        WhatIf(policies=("safe",)),
        MONDAY + 6 * HOUR,
        MONDAY + 24 * HOUR,
    )
    document = replay_document(one)
    (daily,) = figures(document, "safe")["limits"]
    assert (document["runs"], daily["carried"], daily["used"], daily["unused"]) == (1, 700, 700, 300)


def test_a_session_opens_with_its_first_use():
    session = Limit("session", Unit.TOKENS, 1000, Session(5 * HOUR))
    document = play(run(3, 900), run(4, 900), run(9, 100), under=(session,), policies=("safe",))
    # open 3:00 to 8:00; the second starts at 8:00, the third fits beside it
    (figured,) = figures(document, "safe")["limits"]
    assert (figured["windows"], figured["amount"], figured["used"], figured["unused"]) == (2, 2000, 1900, 100)
    assert by_class(document, "safe", "normal", "wait_mean_hours") == (1.333,)


@pytest.mark.parametrize(
    ("policy", "waits", "used", "redone", "over"),
    [
        # 9:00: 550 are used, 9:06: empty, with 120 and 180 to go; both redo 30 %, 54 and 6, in the session from 13:00
        pytest.param("none", (0, 0), 960, 60, 300, id="none cuts both off"),
        # 9:00: 550 of 600 is past 90 %, so normal work waits; 9:10: empty, low work has 100 to go and 60 to redo
        pytest.param("fixed90", (4, 0), 960, 60, 100, id="fixed90 keeps one back and cuts one off"),
        # 8:30: 200 are free for 300; 9:00: for exactly 200, whatever rounding the used 400 went through
        pytest.param("safe", (0, 4.5), 900, 0, 0, id="safe starts what fits exactly"),
    ],
)
def test_a_day_and_its_sessions(policy, waits, used, redone, over):
    runs = (run(8, 400, "interactive"), run(8.5, 300, "low", patience=9), run(9, 200, patience=9))
    document = play(*runs, under=(DAILY, Limit("session", Unit.TOKENS, 600, Session(5 * HOUR))), policies=(policy,))
    classes = ("normal", "low")
    assert tuple(by_class(document, policy, name, "wait_mean_hours")[0] for name in classes) == waits
    assert tuple(by_class(document, policy, name, "done")[0] for name in classes) == (200, 300)
    daily, session = figures(document, policy)["limits"]
    assert (daily["used"], daily["redone"], daily["lost"]) == (used, redone, 0)
    assert (session["windows"], session["used"], session["over"]) == (2, used, over)


TEAMS = Limit("team", Unit.TOKENS, 500, Calendar(Every.DAY), per="team")
GROWTH = Limit("growth", Unit.TOKENS, 500, Calendar(Every.DAY), match=match_of({"team": "growth"}))


@pytest.mark.parametrize(
    ("limits", "done"),
    [
        pytest.param((TEAMS,), 800, id="a limit for each team has its own window for each"),
        pytest.param((GROWTH,), 1200, id="a limit on one team leaves the others alone"),
        pytest.param((GROWTH, DAILY), 800, id="every limit that binds a run must have room"),
    ],
)
def test_limits_bind_what_they_select(limits, done):
    runs = [run(1, 400, team="growth"), run(2, 400, team="growth"), run(3, 400, team="data"), run(4, 400, team="data")]
    document = play(*runs, under=limits, policies=("safe",))
    assert by_class(document, "safe", "normal", "done") == (done,)


@pytest.mark.parametrize(
    ("asked", "done", "now"),
    [
        pytest.param({}, 900, None, id="as things are"),
        pytest.param({"amounts": {"daily": "-20%"}}, 500, 900, id="a fifth less"),
        pytest.param({"amounts": {"*": "130%"}}, 1300, 900, id="a share of now, of every limit"),
        pytest.param({"amounts": {"daily": "1.3k"}}, 1300, 900, id="an amount"),
        pytest.param({"windows": {"daily": "5h"}}, 1300, 900, id="sessions of five hours"),
        pytest.param({"quotas": ("600/week",)}, 500, 900, id="one limit more"),
        pytest.param({"budgets": {"growth": "450/day"}}, 800, 900, id="a budget of a team"),
        pytest.param({"budgets": {"*": "300/day"}}, 0, 900, id="a budget of each team"),
        pytest.param({"models": {"opus": "haiku"}}, 900, 900, id="another model, whose limits are the same"),
    ],
)
def test_what_if(asked, done, now):
    runs = [run(1, 500, team="growth", model="opus"), run(7, 400, team="data"), run(13, 400, team="growth")]
    document = play(*runs, policies=("safe",), **asked)
    cases = [figures(document, "safe", case)["classes"]["normal"]["done"] for case in range(len(document["cases"]))]
    assert cases == [done] if now is None else [now, done]


def test_another_class_asks_in_another_order():
    runs = [run(1, 800), run(2, 500, team="data"), run(3, 400, team="growth", patience=30)]
    document = play(*runs, policies=("safe",), days=2, classes={"team=growth": "high"})
    assert [figures(document, "safe", case)["classes"]["high"]["done"] for case in (0, 1)] == [0, 400]


def test_money_is_counted_by_what_runs_cost():
    purse = Limit("purse", Unit.USD, 3 * 10**6, Calendar(Every.DAY))
    document = play(run(1, 100, usd=2.0), run(3, 100, usd=2.0), under=(purse,), policies=("safe",))
    (figured,) = figures(document, "safe")["limits"]
    assert (figured["unit"], figured["amount"], figured["used"], figured["unused"]) == ("usd", 3.0, 2.0, 1.0)


def busy_days(seed, days):
    dice = random.Random(seed)
    classes = ["interactive", "high", "normal", "low"]
    runs = [
        run(
            round(dice.uniform(0, 24 * days), 3),
            int(dice.lognormvariate(5, 1)) + 1,
            dice.choices(classes, [25, 15, 30, 30])[0],
            hours=dice.uniform(0.1, 3),
            team=dice.choice(["a", "b"]),
            reserve=int(dice.lognormvariate(5, 1)) + 1,
        )
        for _ in range(days * 14)
    ]
    return sorted(runs, key=lambda one: one.at)


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"draw {seed}") for seed in range(3)])
def test_everything_is_accounted_for_under_every_policy(seed):
    limits = (
        Limit("week", Unit.TOKENS, 12_000, Calendar(Every.WEEK)),
        Limit("session", Unit.TOKENS, 1_500, Session(5 * HOUR)),
        Limit("team", Unit.TOKENS, 1_400, Calendar(Every.DAY), per="team"),
    )
    document = play(*busy_days(seed, 14), under=limits, days=14)
    rows = document["cases"][0]["policies"]
    assert [row["policy"] for row in rows] == list(POLICIES)
    assert sum(row["limits"][0]["redone"] for row in rows) > 0
    for row in rows:
        for one in row["classes"].values():
            assert one["demand"] == one["done"] + one["denied"] + one["unfinished"]
            assert min(one.values()) >= 0
        done = sum(one["done"] for one in row["classes"].values())
        for limit in row["limits"]:
            assert limit["amount"] == limit["used"] + limit["unused"] + limit["unfinished"]
            assert limit["lost"] <= limit["unused"]
        week = row["limits"][0]
        assert week["used"] == pytest.approx(done + week["redone"], abs=3)
        assert week["amount"] == 2 * 12_000


def test_the_clairvoyant_is_the_best():
    document = play(*busy_days(5, 14), under=(Limit("week", Unit.TOKENS, 12_000, Calendar(Every.WEEK)),), days=14)
    rows = {row["policy"]: row for row in document["cases"][0]["policies"]}
    assert all(row["value"] <= 100 and row["avoidable_harm"] >= 0 for row in rows.values()), rows
    assert rows["none"]["value"] < 95 < rows["clairvoyant"]["value"] == 100


@pytest.mark.parametrize(
    ("asked", "limits", "sentence"),
    [
        pytest.param({"limits": ("weekly",)}, (DAILY,), "there is no limit 'weekly': there are daily", id="limit"),
        pytest.param(
            {"amounts": {"weekly": "5"}}, (DAILY,), "there is no limit 'weekly': there are daily", id="amount of"
        ),
        pytest.param({"amounts": {"daily": "-5M"}}, (DAILY,), "'-5M' is not an amount", id="a negative amount"),
        pytest.param({"amounts": {"daily": "-100%"}}, (DAILY,), "must be more than 0 %", id="less by all of it"),
        pytest.param({"amounts": {"daily": "0"}}, (DAILY,), "an amount of 0 lets nothing start", id="nothing"),
        pytest.param({"amounts": {"daily": "$5"}}, (DAILY,), "counts usd, but the unit is tokens", id="another unit"),
        pytest.param({"windows": {"daily": "fortnight"}}, (DAILY,), "'fortnight' is no window", id="an unknown window"),
        pytest.param({"quotas": ("5M",)}, (), "'5M' says no window", id="a quota without a window"),
        pytest.param({"quotas": ("5%/week",)}, (), "counts percent", id="a quota of percent"),
        pytest.param(
            {"classes": {"team=x": "low"}}, (DAILY,), "no run has the team 'x': no run names", id="no such team"
        ),
        pytest.param({"classes": {"colour=red": "low"}}, (DAILY,), "is no label and value", id="no such label"),
        pytest.param({"classes": {"team=": "low"}}, (DAILY,), "is no label and value", id="no value"),
        pytest.param({"models": {"gpt-9": "o"}}, (DAILY,), "no run used the model 'gpt-9'", id="a model nobody used"),
        pytest.param({}, (), "There is no limit to replay under", id="no limit"),
        pytest.param(
            {},
            (Limit("cap", Unit.TOKENS, 5, PerRun(), per="run"),),
            "There is no limit to replay under",
            id="only a cap",
        ),
        pytest.param(
            {"limits": ("claude",)},
            (Limit("claude", Unit.PERCENT, 10**8, Session(5 * HOUR)),),
            "The limit claude is not played: it counts percent, and nobody knows yet what a percent is worth.",
            id="percent of which nobody knows the worth",
        ),
    ],
)
def test_what_cannot_be_meant_is_said_in_a_sentence(asked, limits, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        play(run(1, 100), under=limits, **asked)
    assert "\n" not in str(caught.value)


def test_a_policy_that_is_none():
    with pytest.raises(ValueError, match="there is no policy 'best': there are none, fixed90, safe"):
        play(run(1, 100), policies=("best",))


def test_a_class_that_is_none():
    with pytest.raises(ValueError, match="there is no class 'urgent': there are interactive, high, normal, low"):
        play(run(1, 100, team="x"), classes={"team=x": "urgent"})


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        pytest.param((), "there are no runs to replay", id="no runs"),
        pytest.param((run(30, 5),), "no run asked to start between 2026-11-02 00:00Z", id="none in the time asked for"),
    ],
)
def test_nothing_to_replay(runs, sentence):
    with pytest.raises(NothingToReplay, match=sentence):
        play(*runs)


def test_it_says_what_it_assumed():
    warning = Limit("watched", Unit.TOKENS, 1000, Calendar(Every.DAY), mode=Mode.WARN)
    cap = Limit("cap", Unit.TOKENS, 5, PerRun(), per="run")
    said = play(run(1, 100), run(2, 1200), under=(warning, cap), policies=("safe",))["assumed"]
    assert "More than a whole window of a limit holds is asked for by 1 of the runs: they wait in vain." in said
    assert "No limit is enforced: watched is played as if it were." in said
    assert "Limits without windows that reset are not played: cap." in said
    assert said[0].startswith("0.0 days of history lie before the start")


@pytest.mark.parametrize(
    ("policies", "is_said"),
    [
        pytest.param((), False, id="the clairvoyant alone"),
        # 1,000 of high work would leave nothing for the 300 of a person: the clairvoyant turns them away
        pytest.param(("none",), True, id="whoever lets high work in denies fewer important tokens"),
    ],
)
def test_harm_below_that_of_the_clairvoyant_is_explained(policies, is_said):
    runs = [run(1, 1000, "high", patience=2), run(8, 300, "interactive")]
    document = play(*runs, policies=policies or ("clairvoyant",))
    assert (min(row["avoidable_harm"] for row in document["cases"][0]["policies"]) < 0) is is_said
    assert any("Avoidable harm below 0" in sentence for sentence in document["assumed"]) is is_said
