"""What people read, as they read it: the shipped rules on whole readings."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.alert_rules import load_rules
from quota_scheduler.core.alerts.samples import samples
from quota_scheduler.core.alerts.state import NoticeKind
from quota_scheduler.core.alerts.step import step
from quota_scheduler.core.alerts.wording import ABOUT_WORDS, LONGEST, LONGEST_SUBJECT, WORDS, phrases
from quota_scheduler.core.efficiency.cache import CacheReading
from quota_scheduler.core.readings.readings import Burn, ClassReading, Readings, SourceReading
from quota_scheduler.core.units import Unit
from tests.core.alerts.test_samples import ENDS, NOW, STARTS, a_forecast, a_limit, a_run, an_ending_limit, burns, waits

RULES = load_rules()


def told(*ticks: Readings) -> list[tuple[str, str]]:
    """Subject and body of what the last of these ticks tells, two days after one another."""
    states, result = (), None
    rules = tuple(replace(rule, hold=timedelta(0), keep_firing_for=timedelta(0)) for rule in RULES)
    for tick in ticks:
        result = step(rules, samples(tick), states, tick.at)
        states = result.states
    return [(due.subject, due.body) for due in result.transitions if not due.above]


def tick(**parts: object) -> Readings:
    return Readings(at=NOW, **parts)


def later(**parts: object) -> Readings:
    return Readings(at=NOW + timedelta(hours=4), **parts)


TEXTS = [
    pytest.param(
        [tick(limits=(a_limit(forecast=a_forecast(1_200_000)),), facts={"causes": {"max-weekly": "72 % by docs"}})],
        "max-weekly: 82 % used",
        """\
max-weekly has used 82 %: 820k tokens of 1M tokens, 180k tokens left.
It resets on Mon 30 Nov 09:00 Europe/Berlin (in 5 days).
The week runs out on Fri 27 Nov 17:50 Europe/Berlin ± 43 h.
That is 3 days before its reset.
Spent at 2.9 times the pace that lasts to the reset.
Spent 72 % by docs.
What to do: see which workflow spends it, and move work that can wait behind the reset.
[usage_high · max-weekly · 2026-11-23T08:00:00Z · see alerts/runbooks.md#usage_high]""",
        id="80 %, with a forecast and a cause",
    ),
    pytest.param(
        [tick(limits=(a_limit(mode="warn", loan=500_000, used=1_230_000),))],
        "max-weekly: 82 % used",
        """\
max-weekly has used 82 %: 1.23M tokens of 1.5M tokens (500k tokens of it lent), 270k tokens left.
It resets on Mon 30 Nov 09:00 Europe/Berlin (in 5 days).
At its pace so far the week runs out on Wed 25 Nov 19:32 Europe/Berlin; there is no forecast yet.
That is 5 days before its reset.
Spent at 2.9 times the pace that lasts to the reset.
The limit only warns: nobody is held back.
What to do: see which workflow spends it, and move work that can wait behind the reset.
[usage_high · max-weekly · 2026-11-23T08:00:00Z · see alerts/runbooks.md#usage_high]""",
        id="80 % of what a member of a pool may use with what is lent to it",
    ),
    pytest.param(
        [tick(limits=(a_limit(mode="warn", starts_at=None, ends_at=None, used=960_000),))],
        "max-weekly: 96 % used, 40k tokens left",
        """\
max-weekly has used 96 %: 960k tokens of 1M tokens, 40k tokens left.
The limit only warns: nobody is held back.
What to do: stop or hold what can wait; what still runs may be told to stop at its next safe point.
[usage_nearly_exhausted · max-weekly · see alerts/runbooks.md#usage_nearly_exhausted]""",
        id="95 % of a limit whose window is not open: lines with nothing to say are left out",
    ),
    pytest.param(
        [tick(limits=(a_limit(used=1_000_000, unit=Unit.USD, waiting=(ClassReading("low", 3, NOW),)),))],
        "max-weekly is exhausted: $1.00 of $1.00 used",
        """\
max-weekly is exhausted: $1.00 of $1.00 used (100 %).
It resets on Mon 30 Nov 09:00 Europe/Berlin (in 5 days).
3 tickets wait for it.
Spent at 3.5 times the pace that lasts to the reset.
What to do: let low work wait for the reset, move urgent work to another model or account, or raise the amount.
[exhausted · max-weekly · 2026-11-23T08:00:00Z · see alerts/runbooks.md#exhausted]""",
        id="exhausted, in dollars",
    ),
    pytest.param(
        [
            tick(limits=(a_limit(),)),
            later(limits=(a_limit(used=0, starts_at=ENDS, ends_at=ENDS + timedelta(days=7)),)),
        ],
        "Resolved: Usage above 80 %: max-weekly",
        """\
The window of max-weekly ended at 82 % of 1M tokens; a new one has begun.
The new one resets on Mon 07 Dec 09:00 Europe/Berlin (in 12 days).
[usage_high · max-weekly · 2026-11-23T08:00:00Z · see alerts/runbooks.md#usage_high]""",
        id="a new window",
    ),
    pytest.param(
        [tick(limits=(a_limit(),)), later(limits=(a_limit(amount=2_000_000),))],
        "Resolved: Usage above 80 %: max-weekly",
        """\
max-weekly is back below 80 %: 820k tokens of 2M tokens used (41 %).
[usage_high · max-weekly · 2026-11-23T08:00:00Z · see alerts/runbooks.md#usage_high]""",
        id="a raised amount",
    ),
    pytest.param(
        [tick(limits=(a_limit(),)), later()],
        "Resolved: Usage above 80 %: max-weekly",
        """\
max-weekly is no longer reported: it was removed, or is idle. Nothing more is known about it.
[usage_high · max-weekly · 2026-11-23T08:00:00Z · see alerts/runbooks.md#usage_high]""",
        id="a removed limit is no all-clear",
    ),
    pytest.param(
        [tick(limits=(a_limit(used=300_000, burns=burns(9.0, 2.0)),))],
        "max-weekly burns fast: 30 % used already",
        """\
max-weekly is burning far faster than it can last: 300k tokens of 1M tokens used (30 %).
At the rate of the last 3 h the week runs out on Fri 27 Nov 21:00 Europe/Berlin.
It resets on Mon 30 Nov 09:00 Europe/Berlin (in 5 days).
Spent at 1.1 times the pace that lasts to the reset.
What to do: look for a run that loops or grew without need, and hold or revoke it.
[burn_fast · max-weekly · 2026-11-23T08:00:00Z · see alerts/runbooks.md#burn_fast]""",
        id="burn, fast over slow",
    ),
    pytest.param(
        [tick(limits=(an_ending_limit(),), facts={"causes": {"max-weekly": "60 % by workflow docs"}})],
        "max-weekly: 450k tokens will expire unused while work waits",
        """\
450k tokens of max-weekly (45 % of 1M tokens) will expire unused, while work waits. 2 tickets wait for it.
It resets on Thu 26 Nov 09:00 Europe/Berlin (in 24 h).
450k tokens are held back for people.
What to do: lower the holdback or raise what automation may use, start a waiting ticket by hand, or tell people that \
there is room.
[expiring_unused · max-weekly · 2026-11-19T08:00:00Z · see alerts/runbooks.md#expiring_unused]""",
        id="quota that expires unused while work waits",
    ),
    pytest.param(
        [tick(limits=(waits(STARTS, level_since=NOW - timedelta(hours=50)),))],
        "max-weekly: work has waited 2 days though nothing holds it back",
        """\
Work for max-weekly has waited for 2 days, and no limit holds it back. 1 ticket waits for it.
What to do: see `quota-scheduler queue explain TICKET`: is everything held by hand, has its runner stopped asking, is \
it larger than what is left?
[deferred_without_cause · max-weekly · see alerts/runbooks.md#deferred_without_cause]""",
        id="deferred without a cause",
    ),
    pytest.param(
        [tick(limits=(waits(NOW - timedelta(days=15), level="paused"),))],
        "max-weekly: work has waited 15 days, over more than 2 windows",
        """\
Work for max-weekly has waited for 15 days, while more than 2 windows of it passed. 1 ticket waits for it.
It resets on Mon 30 Nov 09:00 Europe/Berlin (in 5 days).
What to do: see `quota-scheduler queue explain TICKET`; raise the amount, give the work a higher class or a smaller \
estimate, or withdraw it.
[deferred_too_long · max-weekly · see alerts/runbooks.md#deferred_too_long]""",
        id="deferred too long",
    ),
    pytest.param(
        [tick(
            limits=(a_limit(used=400_000),),
            caches=(CacheReading("nightly", "anthropic", 0.603, 0.958, 2_400_000, ("model claude-opus-5",),
                                 (("max-weekly", 50_000),)),),
        )],
        "nightly: cache hit rate fell to 60.3 % from 95.8 %",
        """\
The cache hit rate of nightly fell to 60.3 %; usual is 95.8 % (over 2.4M tokens of input).
It cost 50k tokens of max-weekly (5.0 %): 6 h of the week at its pace.
Changed since: model claude-opus-5.
What to do: compare the start of the prompts with those of last week: a date, an id or a reordered tool list \
breaks the cache. Fresh input costs up to ten times a cache read.
[cache_drop · nightly · see alerts/runbooks.md#cache_drop]""",
        id="a cache drop names what changed",
    ),
    pytest.param(
        [tick(limits=(a_limit(used=0),), runs=(a_run(team="", finished=True, charges=(("max-weekly", 6_000),)),))],
        "Run nightly-42 used 6M tokens",
        """\
Run nightly-42 of nightly used 6M tokens ($12.50), more than the 3M tokens that call for a look. It has ended.
It cost 6k tokens of max-weekly (0.6 %); what that is in time is not known yet: the limit has no pace.
Cache hit rate 90.0 %.
Task type: testing.
What to do: look at its largest calls; split the task, prune the context, or accept it and raise the threshold.
[high_usage_run · nightly-42 · see alerts/runbooks.md#high_usage_run]""",
        id="a high-usage run with its numbers",
    ),
    pytest.param(
        [tick(runs=(a_run(workflow="", task_type="", team="", finished=True),))],
        "Run nightly-42 used 6M tokens",
        """\
Run nightly-42 of no workflow used 6M tokens ($12.50), more than the 3M tokens that call for a look. It has ended.
What that is in time is not known: no limit with a window as long counts this work.
Cache hit rate 90.0 %.
What to do: look at its largest calls; split the task, prune the context, or accept it and raise the threshold.
[high_usage_run · nightly-42 · see alerts/runbooks.md#high_usage_run]""",
        id="a run of which little is known is told all the same",
    ),
    pytest.param(
        [tick(sources=(SourceReading("claude_code", False, 5_400.0, 0),))],
        "claude_code is 2 h behind",
        """\
Usage from claude_code is 2 h behind: every figure that rests on it is too low by what happened since.
What to do: see that its files can be read and that the host which sends them is up.
[source_stale · claude_code · see alerts/runbooks.md#source_stale]""",
        id="a stale source",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("ticks", "subject", "body"), TEXTS)
def test_a_message(ticks, subject, body):
    assert told(*ticks) == [(subject, body)]


def test_no_message_is_too_long_for_any_receiver():
    long = "x" * 300
    everything = tick(
        limits=(a_limit(limit=long, zone="America/Argentina/ComodRivadavia", forecast=a_forecast(1_200_000)),),
        caches=(CacheReading(long, "p", 0.1, 0.99, 10**9, (long, long, long)),),
        runs=(a_run(run=long, workflow=long, over_cap=True),),
        sources=(SourceReading(long, False, 1e9, 5),),
        facts={"causes": {long: long * 3}, "unpriced_models": {long: 10**6}},
    )
    messages = told(everything)
    assert len(messages) == 5
    assert all(len(subject) <= LONGEST_SUBJECT and len(body) <= LONGEST for subject, body in messages)


def test_the_closed_set_of_words_is_what_there_is():
    limit = a_limit(
        mode="warn",
        estimated=True,
        forecast=a_forecast(1_200_000),
        burns=(Burn("fast_long", 2, 2), Burn("slow_long", 2, 2)),
        waiting=(ClassReading("low", 1, STARTS),),
    )
    everything = tick(
        limits=(limit, an_ending_limit(limit="ending", used=550_000)),
        caches=(CacheReading("a", "p", 0.5, 0.9, 1, ("x",)), CacheReading("b", "p", 0.5, None, 1, ("x",))),
        runs=(a_run(),),
        sources=(SourceReading("s", False, 1.0, 1),),
        facts={"causes": {"max-weekly": "why"}, "unpriced_models": {"p/m": 1}},
    )
    for sample in samples(everything):
        known = phrases({**sample.facts, "next_ends_at": sample.facts.get("ends_at")}, NOW).keys() | ABOUT_WORDS
        if sample.scope == "ending":
            assert {"unused", "unused_percent", "held_back"} <= known
            continue
        known |= {"unused", "unused_percent"}  # only near the end of a window, see above
        missing = WORDS[sample.reading] - known - ({"baseline"} if sample.baseline is None else set())
        assert not missing, f"{sample.reading} never says {missing}"


def test_a_repeat_says_so():
    rule = next(rule for rule in RULES if rule.id == "usage_high")
    tries = tick(limits=(a_limit(),))
    fired = step((replace(rule, hold=timedelta(0)),), samples(tries), (), NOW)
    again = step((replace(rule, hold=timedelta(0)),), samples(tries), fired.states, NOW + rule.repeat)
    assert [(due.kind, due.subject) for due in again.transitions] == [
        (NoticeKind.REPEAT, "Still: max-weekly: 82 % used")
    ]
