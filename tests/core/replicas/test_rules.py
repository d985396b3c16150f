"""Rules are compared figure by figure, and the difference is said in words for people."""

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from quota_scheduler.core.limits.limit import Holdback, Limit, Mode
from quota_scheduler.core.limits.schedule import Calendar, Every, Session
from quota_scheduler.core.limits.thresholds import Thresholds
from quota_scheduler.core.observations.points import Rate
from quota_scheduler.core.pricing import OwnPrice
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.replicas.rules import Rules, are_alike, differences, differences_sentence
from quota_scheduler.core.units import Unit
from tests.builders import MONDAY

DAILY = Limit("daily", Unit.TOKENS, 1000, Calendar(Every.DAY), match=(("provider", frozenset({"b", "a"})),))
RULES = Rules((DAILY,))
PRICE = OwnPrice(Decimal(3), Decimal(15))


def with_limit(**changes):
    return replace(RULES, limits=(replace(DAILY, **changes),))


@pytest.mark.parametrize(
    ("there", "said"),
    [
        pytest.param(RULES, [], id="the same"),
        pytest.param(Rules((replace(DAILY, match=(("provider", frozenset(["a", "b"])),)),)), [], id="in another order"),
        pytest.param(with_limit(amount=2000), ["limit daily: amount is 1,000 tokens here and 2,000 tokens there"],
                     id="an amount"),
        pytest.param(with_limit(amount=1001), ["limit daily: amount is 1,000 tokens here and 1,001 tokens there"],
                     id="an amount by little"),
        pytest.param(with_limit(mode=Mode.WARN), ["limit daily: mode is the default here and warn there"], id="a mode"),
        pytest.param(with_limit(holdback=Holdback(per_mille=50)),
                     ["limit daily: holdback is the default here and holdback 50 there"], id="a holdback"),
        pytest.param(with_limit(schedule=Session(timedelta(hours=5))),
                     ["limit daily: schedule is calendar day UTC 0 00:00:00 here and session 18000 s there"],
                     id="a schedule"),
        pytest.param(replace(RULES, policy=QueuePolicy(max_offers=5)),
                     ["queue: max_offers is the default here and 5 there"], id="the queue's policy"),
        pytest.param(replace(RULES, thresholds=Thresholds(fixed_stop=0.95)),
                     ["rules: fixed_stop is the default here and 0.95 there"], id="a threshold"),
        pytest.param(replace(RULES, models=("opus", "sonnet")),
                     ["models: fallback is the default here and opus, sonnet there"], id="models"),
        pytest.param(replace(RULES, prices={"opus": PRICE}),
                     ["price of opus: input is the default here and 3 there",
                      "price of opus: output is the default here and 15 there"], id="a price"),
    ],
)  # fmt: skip
def test_what_differs(there, said):
    assert [str(one) for one in differences(RULES, there)] == said
    assert (RULES.fingerprint() == there.fingerprint()) is not bool(said)


def test_a_limit_that_only_one_has_is_named():
    assert list(map(str, differences(Rules(), RULES))) == ["limit daily is not configured here and 1,000 tokens there"]


def test_few_are_named_and_the_others_counted():
    there = with_limit(amount=2, mode=Mode.OFF, borrow=1, zone="Asia/Tokyo", per="team")
    assert differences_sentence(differences(RULES, there), "b:1").endswith(
        "and 2 more; give all replicas the same one: this one is ready as soon as they agree"
    )


RATE = Rate(90, 100, 110, 3, MONDAY)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        pytest.param(DAILY, DAILY, True, id="the same"),
        pytest.param(DAILY, replace(DAILY, amount=1), False, id="another amount"),
        pytest.param(replace(DAILY, rate=RATE), replace(DAILY, rate=replace(RATE, spans=4)), True, id="a rate as near"),
        pytest.param(replace(DAILY, rate=RATE), replace(DAILY, rate=replace(RATE, high=200)), False, id="another rate"),
        pytest.param(replace(DAILY, rate=RATE), DAILY, False, id="a rate and none"),
    ],
)
def test_alike(one, other, alike):
    assert are_alike([one], [other]) is alike
