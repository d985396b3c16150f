"""The wire format: what was read on one host is the same event in the service."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.source_batch import Batch
from quota_scheduler.core.ledger.unlisted import GoingOn, Inheritance, SessionTotal, StatedUsage
from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing, Throttle
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import Extent, PriceTerms, Usage, UsageEvent
from quota_scheduler.shipping import wire
from tests.builders import MONDAY, a_usage_event

HOST = "build-7"
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)
tokens = st.integers(0, 10**10)
events = st.builds(
    UsageEvent,
    key=words.filter(bool),
    at=st.datetimes(datetime(2001, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC)),
    labels=st.builds(Labels, st.sampled_from(["anthropic", "openai"]), *[words] * 7),
    usage=st.builds(lambda *kinds: Usage(*kinds), *[tokens] * 6),
    run=words,
    session=words,
    message=words,
    sidechain=st.booleans(),
    priority=st.sampled_from(Priority),
    flags=st.lists(words, max_size=3).map(tuple),
    prompt_version=words,
    status=words,
    terms=st.builds(PriceTerms, words, words, words, st.integers(0, 100)),
    extent=st.sampled_from(Extent),
)
observations = st.builds(
    Observation,
    st.sampled_from(["anthropic", "openai"]),
    words,
    st.sampled_from(ProviderWindow),
    st.just(MONDAY),
    words,
    st.none() | st.floats(0, 2),
    st.none() | st.just(MONDAY + timedelta(hours=5)),
    words,
    st.sampled_from(Standing),
    st.booleans(),
)
throttles = st.builds(
    Throttle, st.just("anthropic"), words, st.just(MONDAY), words, st.none() | st.just(timedelta(seconds=7))
)
stated = st.builds(
    StatedUsage,
    st.builds(Labels, st.just("anthropic"), *[words] * 7),
    st.sampled_from(Priority),
    st.builds(lambda *kinds: Usage(*kinds), *[tokens] * 5),
    st.integers(0, 9),
)
totals = st.builds(
    SessionTotal,
    words,
    st.integers(0, 10**9),
    st.just(MONDAY),
    st.lists(stated, max_size=2).map(tuple),
    st.none() | st.just(MONDAY + timedelta(minutes=5)),
)
of_themselves = st.one_of(
    totals.map(lambda total: wire.ToldOfItself(total=total)),
    st.builds(Inheritance, words, words, st.just(MONDAY)).map(lambda one: wire.ToldOfItself(inherited=one)),
    st.builds(GoingOn, words, st.integers(0, 9), st.just(MONDAY)).map(lambda one: wire.ToldOfItself(going_on=one)),
)


def shipment(*elements: UsageEvent | Observation | Throttle | wire.ToldOfItself, **changes: object) -> bytes:
    """A body that holds these."""
    sent = [element for element in elements if isinstance(element, UsageEvent)]
    told = [element for element in elements if isinstance(element, Observation | Throttle)]
    selves = [element for element in elements if isinstance(element, wire.ToldOfItself)]
    body = wire.Shipment(
        wire.VERSION, HOST, MONDAY, source="codex",
        events=tuple(msgspec.Raw(wire.encoded(wire.shipped(event))) for event in sent),
        observations=tuple(msgspec.Raw(wire.encoded(wire.shipped_word(word))) for word in told),
        told=tuple(msgspec.Raw(wire.encoded(wire.shipped_told(one))) for one in selves),
    )  # fmt: skip
    return json.dumps(json.loads(wire.encoded(body)) | changes).encode()


@given(
    st.lists(events, max_size=4),
    st.lists(observations, max_size=3),
    st.lists(throttles, max_size=3),
    st.lists(of_themselves, max_size=3),
)
def test_what_is_sent_arrives_as_it_was_read(sent, told, refused, selves):
    batch, rejected = wire.batch_in(wire.shipment_in(shipment(*sent, *told, *refused, *selves)))
    assert rejected == []
    assert batch == Batch(
        events=tuple(replace(event, origin="codex@build-7") for event in sent),
        observations=tuple(told),
        throttles=tuple(refused),
        totals=tuple(one.total for one in selves if one.total),
        inherited=tuple(one.inherited for one in selves if one.inherited),
        going_on=tuple(one.going_on for one in selves if one.going_on),
    )


def test_the_clock_is_put_right_and_the_providers_own_reset_is_not():
    later = timedelta(seconds=90)
    resets = MONDAY + timedelta(hours=3)
    told = Observation("anthropic", "max-1", ProviderWindow.WEEKLY, MONDAY, "status_line", 0.4, resets)
    assert wire.shipped(a_usage_event(), later).at == MONDAY + later
    assert wire.shipped_word(told, later).observed_at == MONDAY + later
    assert wire.shipped_word(told, later).resets_at == resets


GOOD = json.loads(wire.encoded(wire.shipped(a_usage_event(key="good"))))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(GOOD | {"at": "2026-11-23T09:00:00"}, "has no time zone", id="a time without a zone"),
        pytest.param(GOOD | {"at": "1970-01-01T00:00:00Z"}, "is no time at which anything was used", id="year 1970"),
        pytest.param(GOOD | {"kinds": [1, 2, 3]}, "Expected `array` of length 5", id="three kinds"),
        pytest.param(GOOD | {"kinds": [-1, 0, 0, 0, 0]}, "Expected `int` >= 0", id="a negative count"),
        pytest.param(GOOD | {"labels": {"colour": "red"}}, "there is no label 'colour'", id="a label nobody knows"),
        pytest.param(GOOD | {"key": ""}, "Expected `str` of length >= 1", id="no key"),
        pytest.param(GOOD | {"key": "k" * 501}, "Expected `str` of length <= 500", id="a key too long"),
        pytest.param(7, "Expected `object`, got `int`", id="no object"),
    ],
)
def test_one_bad_event_is_named_and_keeps_no_other_out(bad, reason):
    batch, rejected = wire.batch_in(wire.shipment_in(shipment(events=[GOOD, bad, GOOD])))
    assert [event.key for event in batch.events] == ["good", "good"]
    assert [element["index"] for element in rejected] == [1]
    assert reason in rejected[0]["reason"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"{", "this is no shipment", id="half a body"),
        pytest.param(b"[]", "this is no shipment", id="an array"),
        pytest.param(shipment(version=2), "bring both to the same release", id="another version of the format"),
        pytest.param(shipment(host="a b"), "this is no shipment", id="a host with a blank"),
        pytest.param(shipment(events=[GOOD] * 5_001), "this is no shipment", id="too many at once"),
    ],
)
def test_what_is_no_shipment_is_refused_whole(body, reason):
    with pytest.raises(ValueError, match=reason):
        wire.shipment_in(body)


def test_fields_of_a_later_release_do_no_harm():
    batch, _ = wire.batch_in(wire.shipment_in(shipment(events=[GOOD | {"mood": "good"}], weather="fine")))
    assert [event.key for event in batch.events] == ["good"]
