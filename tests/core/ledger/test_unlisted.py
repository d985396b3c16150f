"""Unlisted usage: what sessions used beyond their listed calls, alone and in families of forks."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.unlisted import (
    Inheritance,
    ListedUse,
    SessionTotal,
    StatedUsage,
    UnlistedUse,
    began_with,
    unlisted,
)
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import Usage
from tests.builders import MONDAY

OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"
PEOPLE = Priority.INTERACTIVE


def second(number):
    return MONDAY + timedelta(seconds=number)


def labels(model):
    return Labels("anthropic", model=model, project="shop")


def call(at, fresh=100, out=10, *, model=OPUS, **more):
    return ListedUse(second(at), model, Usage(fresh, output=out), **more)


def a_total(place, fresh, out=0, *, until=None, at=None, model=OPUS, searches=0, also=()):
    stated = StatedUsage(labels(model), PEOPLE, Usage(fresh, output=out), searches)
    at = second(place if at is None else at)
    return SessionTotal("A", place, at, (stated, *also), None if until is None else second(until))


def use(place, fresh=0, out=0, *, model=OPUS, searches=0):
    return UnlistedUse(place, second(place), labels(model), PEOPLE, Usage(fresh, output=out), searches)


@pytest.mark.parametrize(
    ("totals", "listed", "expected"),
    [
        pytest.param([a_total(5, 100, 10)], [call(1)], [], id="all is listed"),
        pytest.param([a_total(5, 300, 30)], [call(1)], [use(5, 200, 20)], id="the rest is unlisted"),
        pytest.param([a_total(5, 300, 5)], [call(1)], [use(5, 200)], id="no kind is below 0"),
        pytest.param([a_total(5, 0)], [call(1)], [], id="a total of nothing, after an interrupt"),
        pytest.param([], [call(1)], [], id="no total, nothing unlisted"),
        pytest.param([a_total(5, 300, 30)], [], [use(5, 300, 30)], id="nothing is listed"),
        pytest.param([a_total(5, 300, 30), a_total(6, 300, 30, at=5)], [call(1)], [use(5, 200, 20)], id="said twice"),
        pytest.param(
            [a_total(5, 300, 30, until=6), a_total(9, 700, 50)],
            [call(1), call(7)],
            [use(5, 200, 20), use(9, 300, 10)],
            id="each part when it is told",
        ),
        pytest.param(
            [a_total(5, 300, 30, until=6), a_total(9, 250, 25)],
            [call(1), call(7, 100, 5)],
            [use(5, 50, 10)],
            id="the last total rules: what it takes back was never used",
        ),
        pytest.param(
            [a_total(5, 300, 30, until=6)], [call(1), call(7)], [use(5, 200, 20)], id="a turn that has not ended"
        ),
        pytest.param(
            [a_total(5, 300, 30)], [call(1), call(5.5, 200, 20)], [], id="a call that another door lists takes its part"
        ),
        pytest.param(
            [a_total(5, 100, 10, until=6), a_total(9, 250, 15)],
            [call(1), call(6, 100, 1, partial=True)],
            [use(9, 150, 5)],
            id="an interrupted answer behind the total of its run is in no total",
        ),
        pytest.param(
            [a_total(5, 14016, 1892, until=6), a_total(9, 20596, 3383)],
            [call(1, 8685, 1884), call(6, 5331, 1, partial=True), call(7, 5202, 881), call(8, 1378, 610)],
            [use(5, 0, 7)],
            id="where the total has room for its input it is in all of them, with more of its output",
        ),
        pytest.param(
            [a_total(5, 15000, 1892, until=6)],
            [call(1, 8685, 1884), call(6, 5331, 1, partial=True)],
            [use(5, 984, 7)],
            id="and beside it stands a hidden call",
        ),
        pytest.param(
            [a_total(9, 300, 33)],
            [call(1), call(6, 100, 1, partial=True)],
            [use(9, 100, 22)],
            id="one after which the program went on is, as far as it had got",
        ),
        pytest.param(
            [a_total(5, 300, 30, model=f"{OPUS}[1m]")], [call(1)], [use(5, 200, 20)], id="the model by another spelling"
        ),
        pytest.param([a_total(5, 9, model=f"{OPUS}[1m]")], [], [use(5, 9)], id="a spelling that no call has"),
        pytest.param([a_total(5, 0, searches=3)], [call(1, 0, 0, web_searches=1)], [use(5, searches=2)], id="searches"),
        pytest.param(
            [a_total(5, 300, 30, also=[StatedUsage(labels(HAIKU), PEOPLE, Usage(7))])],
            [call(1)],
            [use(5, 200, 20), use(5, 7, model=HAIKU)],
            id="a model that is not listed at all",
        ),
        pytest.param(
            [a_total(5, 100, 10)], [call(1, model=HAIKU)], [use(5, 100, 10)], id="another model's calls explain nothing"
        ),
    ],
)
def test_unlisted(totals, listed, expected):
    assert unlisted(totals, listed, {}) == expected


@dataclass
class Client:
    """What the program does: sessions that call, hide calls, state totals and fork, as it was seen to."""

    clock: int = 0
    totals: dict = field(default_factory=dict)
    listed: dict = field(default_factory=dict)
    hidden: dict = field(default_factory=dict)
    copied: dict = field(default_factory=dict)
    inherited: list = field(default_factory=list)
    saved: dict = field(default_factory=dict)

    def tick(self):
        self.clock += 1
        return self.clock

    def session(self, name):
        for facts, start in ((self.totals, []), (self.listed, []), (self.hidden, 0), (self.copied, {})):
            facts.setdefault(name, type(start)(start))
        self.saved.setdefault(name, 0)

    def begin_turn(self, name):
        """Tell something new: the total that was the last ends."""
        if self.totals[name] and self.totals[name][-1].until is None:
            self.totals[name][-1] = self.totals[name][-1].__class__(
                name,
                self.totals[name][-1].place,
                self.totals[name][-1].at,
                self.totals[name][-1].stated,
                second(self.tick()),
            )

    def turn(self, name, calls, hidden):
        self.begin_turn(name)
        at = self.tick()
        for fresh in calls:
            at = self.tick()
            self.listed[name].append(call(at, fresh, 0))
            self.copied[name][name] = at
        self.hidden[name] += hidden
        self.saved[name] += sum(calls) + hidden
        stated = StatedUsage(labels(OPUS), PEOPLE, Usage(self.saved[name]))
        self.totals[name].append(SessionTotal(name, self.tick(), second(at), (stated,)))

    def fork(self, parent, child):
        self.session(child)
        self.tick()
        self.saved[child] = self.saved[parent]
        for ancestor, at in self.copied[parent].items():
            self.inherited.append(Inheritance(child, ancestor, second(at)))
            self.copied[child][ancestor] = at

    def unlisted(self, name, lost=()):
        totals = {of: some for of, some in self.totals.items() if of not in lost}
        base = began_with(self.inherited, totals, self.listed, name)
        return sum(one.usage.input for one in unlisted(totals.get(name, ()), self.listed[name], base))


amounts = st.lists(st.integers(1, 50), min_size=1, max_size=3)


@st.composite
def lives(draw):
    """Sessions of one family: turns with calls and hidden calls, and forks of any of them at any time."""
    client = Client()
    client.session("A")
    client.turn("A", draw(amounts), draw(st.integers(0, 90)))
    for _ in range(draw(st.integers(0, 12))):
        name = draw(st.sampled_from(sorted(client.totals)))
        if draw(st.booleans()) and len(client.totals) < 5:
            child = "ABCDE"[len(client.totals)]
            client.fork(name, child)
            name = child
        client.turn(name, draw(amounts), draw(st.integers(0, 90)))
    return client


@given(lives())
def test_in_a_family_of_forks_each_session_has_what_it_hid(client):
    assert {name: client.unlisted(name) for name in client.totals} == client.hidden


@given(lives(), st.sampled_from("ABC"))
def test_of_a_file_that_is_gone_the_hidden_calls_count_once_at_most_per_fork(client, lost):
    """Its listed calls stand in the ledger; what it hid shows in its forks, which began with it."""
    forks = {one.session for one in client.inherited if one.ancestor == lost}
    for name in client.totals.keys() - {lost} - forks:
        assert client.unlisted(name, {lost}) == client.hidden[name]
    for name in forks - {lost}:
        assert client.unlisted(name, {lost}) >= client.hidden[name]


def test_after_a_fork_the_parent_s_own_compaction_is_not_what_the_fork_began_with():
    client = Client()
    client.session("A")
    client.turn("A", [100], 30)
    client.fork("A", "B")
    client.turn("B", [10], 5)
    client.turn("A", [], 40)
    client.turn("A", [7], 0)
    assert (client.unlisted("A"), client.unlisted("B")) == (70, 5)


def test_a_fork_whose_first_total_has_no_room_for_its_parent_began_with_nothing():
    listed = {"A": [call(1, 900)], "B": [call(3, 10)]}
    totals = {"B": [SessionTotal("B", 1, second(3), (StatedUsage(labels(OPUS), PEOPLE, Usage(60, output=10)),))]}
    base = began_with([Inheritance("B", "A", second(1))], totals, listed, "B")
    assert unlisted(totals["B"], listed["B"], base) == [UnlistedUse(1, second(3), labels(OPUS), PEOPLE, Usage(50))]
