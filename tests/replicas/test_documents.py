"""What the leader lets the others know comes back equal, quickly, and is refused where another version wrote it."""

import builtins
import time
import types
import typing
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall_time
from decimal import Decimal
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields, replace

from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.limits.limit import AtLimit, Holdback, Limit, Mode, Policy
from quota_scheduler.core.limits.schedule import Calendar, Every, PerRun, Session, Unwindowed
from quota_scheduler.core.limits.thresholds import Thresholds
from quota_scheduler.core.observations.observation import ProviderWindow
from quota_scheduler.core.observations.report_key import ReportKey
from quota_scheduler.core.pricing import OwnPrice
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.readings.readings import Readings
from quota_scheduler.core.replicas.rules import Rules
from quota_scheduler.core.replicas.shown import Shown
from quota_scheduler.core.units import Unit
from quota_scheduler.replicas.documents import (
    PublishedReadings,
    decode_readings,
    decode_rules,
    encode_readings,
    encode_rules,
    readings_shape,
    rules_shape,
)
from tests.shell.sample import a_limit, some_readings

AT = datetime(2026, 11, 22, 9, 0, 0, 123457, tzinfo=UTC)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(-(2**62), 2**62),
    float: st.floats(allow_nan=False),
    str: st.text(max_size=4),
    datetime: st.datetimes(datetime(2000, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC)),
    timedelta: st.timedeltas(timedelta(days=-9), timedelta(days=999)),
    date: st.dates(),
    dict[str, Any]: st.just({"causes": {"daily": "ana spends most"}, "unpriced_models": {"x/y": 3}}),
}
"""Values of what documents are made of; infinities among them."""


@cache
def of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that documents hold."""
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, Struct):
        hints = get_type_hints(kind)
        return st.builds(kind, **{one.name: of(hints[one.name]) for one in fields(kind)})
    inside = get_args(kind)
    match get_origin(kind):
        case builtins.tuple if inside[-1] is ...:
            return st.lists(of(inside[0]), max_size=2).map(tuple)
        case builtins.tuple:
            return st.tuples(*map(of, inside))
        case types.UnionType:
            return st.one_of(*(st.none() if one is type(None) else of(one) for one in inside))
        case typing.Literal:
            return st.sampled_from(inside)
    return st.sampled_from(kind)  # an enumeration


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(of(Readings), of(Outlook))
def test_any_readings_come_back_equal(readings, outlook):
    shown = Shown((("a_total", ("x",), 1.5),), (("provider", ("p",)),))
    published = PublishedReadings(readings, {"daily": outlook}, shown)
    assert decode_readings(readings_shape(), encode_readings(published)) == published


def test_two_hundred_limits_take_a_few_milliseconds():
    limits = tuple(a_limit(f"limit-{number}") for number in range(200))
    published = PublishedReadings(replace(some_readings(), limits=limits))
    body = encode_readings(published)
    took = []
    for _ in range(5):
        began = time.perf_counter()
        body = encode_readings(published)
        between = time.perf_counter()
        assert decode_readings(readings_shape(), body) == published
        took.append((between - began, time.perf_counter() - between))
    assert min(encoding for encoding, _ in took) < 0.05
    assert len(body) < 200_000


RULES = Rules(
    (
        Limit("daily", Unit.TOKENS, 1000, Calendar(Every.WEEK, "Asia/Tokyo", 3, wall_time(9, 30)),
              match=(("provider", frozenset({"anthropic", "openai"})),), per="team", values=("a", "b"),
              overrides=(("a", 5),), holdback=Holdback(per_mille=50), mode=Mode.WARN, policy=Policy.FIXED_THRESHOLDS,
              lend=3, warn_at=(("", 800),), at_limit=(("", AtLimit.BLOCK),)),
        Limit("session", Unit.PERCENT, 100, Session(timedelta(hours=5)),
              observed=ReportKey("anthropic", "default", ProviderWindow.FIVE_HOUR)),
        Limit("cap", Unit.USD, 5, PerRun()),
        Limit("at once", Unit.LEASES, 5, Unwindowed()),
    ),
    QueuePolicy(aging_step=timedelta(minutes=7)),
    Thresholds(risk_high=0.9),
    ("opus", "sonnet"),
    {"opus": OwnPrice(Decimal("3.000000000000000001"), Decimal(15), cache_read=Decimal("0.3"))},
)  # fmt: skip


def test_rules_come_back_equal():
    assert decode_rules(rules_shape(), encode_rules(RULES)) == RULES


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda: decode_readings("of another version", "whatever it wrote"), id="readings"),
        pytest.param(lambda: decode_rules("of another version", "whatever it wrote"), id="rules"),
    ],
)
def test_what_another_version_wrote_is_not_tried(read):
    assert read() is None
