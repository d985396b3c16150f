"""History and export over a real ledger: every grouping adds up to the same, and so does what is imported again."""

import csv
import json
from random import Random
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from pydantic import TypeAdapter

from quota_scheduler.api.schemas import EventBody
from quota_scheduler.api.usage import valid_events
from quota_scheduler.core.history.asking import ADDED_BY, Words, question
from quota_scheduler.core.history.history import Sum
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.usage import Extent, PriceTerms, Usage, UsageEvent, total
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service.apply_prices import priced_events
from quota_scheduler.service.queries.export import COLUMNS, csv_lines, event_document, export_page, json_lines
from quota_scheduler.service.queries.usage_history import csv_of, history_document, usage_history
from quota_scheduler.service.record import record_usage
from quota_scheduler.store import Store, ledger, pruned
from tests.builders import DAY, at
from tests.fakes import FixedClock

NOW = at("2026-11-27T12:00Z")
MODELS = ("claude-opus-5", "claude-haiku-4-5", "claude-mystery-9", "claude-opus-5[1m]")
STRANGE = ("", "=1+1", "名前", 'a,b"c', "-", "x" * 90)


def random_events(count=400, days=60):
    """Calls of two months over the change of the clocks, some of them no whole calls, some with a given cost."""
    rng = Random(10)
    events = []
    for number in range(count):
        labels = Labels(
            "anthropic",
            rng.choice(("max", "api")),
            rng.choice(MODELS),
            team=rng.choice(STRANGE),
            agent=rng.choice(("", "claude_code")),
        )
        usage = Usage(*(rng.randrange(50_000) for _ in range(5)), requests=1)
        events.append(
            UsageEvent(
                f"req_{number}",
                NOW - rng.randrange(days * 86_400) * (DAY / 86_400),
                labels,
                usage,
                run=f"s{number % 9}",
                session=f"s{number % 9}",
                message=f"m{number}",
                sidechain=number % 7 == 0,
                origin=rng.choice(("claude_code", "otlp@build-7")),
                extent=rng.choice((*[Extent.WHOLE] * 8, *Extent)),
                terms=PriceTerms(speed="fast") if number % 11 == 0 else PriceTerms(),
                flags=("batching",) if number % 5 == 0 else (),
            )
        )
    given = [replace(event, usage=event.usage.costing(1_234_567_890_123)) for event in events[:20]]
    return priced_events([*given, *events[20:]], Prices())


EVENTS = random_events()
ALL = total(event.usage for event in EVENTS)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "quota.db", clock=FixedClock(NOW)) as opened:
        with opened.transaction() as tx:
            record_usage(tx, EVENTS, [])
        yield opened


def look(store, *by, zone="UTC", **words):
    with store.reading() as tx:
        return usage_history(tx, question(Words(by, **{"last": "90d", **words}), zone=zone, now=NOW))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize(
    "by", [*((name,) for name in ADDED_BY), ("day", "model"), ("month", "team", "origin")], ids="+".join
)
def test_every_grouping_adds_up_to_the_ledger(store, by, zone):
    found = look(store, *by, zone=zone)
    assert found.total.usage == ALL
    assert total(row.usage for _, row in found.rows) == ALL
    assert found.total.unlisted == sum(e.usage.tokens for e in EVENTS if e.extent is Extent.UNLISTED)
    assert found.total.partial == sum(e.extent is Extent.PARTIAL for e in EVENTS)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_each_day_holds_what_was_used_on_it(store, zone):
    days = {}
    for event in EVENTS:
        day = event.at.astimezone(ZoneInfo(zone)).date().isoformat()
        days[day] = days.get(day, Usage()).plus(event.usage)
    assert {key[0]: row.usage for key, row in look(store, "day", zone=zone).rows} == days


@pytest.mark.parametrize(
    ("match", "selects"),
    [
        pytest.param(
            {"model": "claude-opus-5"},
            lambda e: e.labels.model.startswith("claude-opus-5"),
            id="a model by any spelling",
        ),
        pytest.param(
            {"model": ["claude-h*", "claude-mystery-9"]}, lambda e: "opus" not in e.labels.model, id="patterns, several"
        ),
        pytest.param(
            {"team": "=1+1", "account": "api"},
            lambda e: (e.labels.team, e.labels.account) == ("=1+1", "api"),
            id="labels together",
        ),
        pytest.param(
            {"agent": "claude_code"}, lambda e: e.labels.agent == "claude_code", id="the agent, from raw events"
        ),
        pytest.param({"team": "nobody"}, lambda _: False, id="nothing"),
    ],
)
@pytest.mark.parametrize("by", ["day", "session"])
def test_filters(store, match, selects, by):
    found = look(store, by, labels=match)
    assert found.total.usage == total(event.usage for event in EVENTS if selects(event))


def test_what_is_pruned_stays_in_the_sums_by_hour_and_is_said_where_raw_events_tell(store):
    with store.transaction() as tx:
        tx.execute("UPDATE events SET recorded_at = at")
        pruned.prune(tx, recorded_before=NOW - 35 * DAY, keys_before=NOW - 400 * DAY)
    gone = total(event.usage for event in EVENTS if event.at < NOW - 35 * DAY)
    assert gone.tokens > 0
    assert look(store, "day").total.usage == ALL
    by_session = look(store, "session")
    assert (by_session.total.usage, by_session.forgotten) == (ALL, Sum(gone))


def test_a_document_is_json_and_csv(store):
    with store.reading() as tx:
        document = history_document(tx, question(Words(["team"], top=2, last="90d"), zone="UTC", now=NOW))
    assert json.loads(json.dumps(document)) == document
    assert document["others"]["rows"] == len(STRANGE) - 2
    lines = csv_of(document).splitlines()
    assert lines[0].startswith("team,input,cache_read,cache_write_5m,cache_write_1h,output,tokens,requests,cost_usd")
    assert len(lines) == 3


def test_periods_are_there_for_a_picture_of_time_alone(store):
    with store.reading() as tx:
        days = history_document(tx, question(Words(["day"], last="3d"), zone="UTC", now=NOW))
        models = history_document(tx, question(Words(["day", "model"], last="3d"), zone="UTC", now=NOW))
    assert days["periods"] == ["2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27"]
    assert "periods" not in models


def pages(store, kind, since=None, most=150):
    place = 0
    while place is not None:
        with store.reading() as tx:
            page = export_page(tx, kind, after=place, since=since, most=most)
        yield page["events"]
        place = page["next"]


@pytest.mark.parametrize("kind", ["events", "rollups"])
def test_what_is_exported_and_imported_again_adds_up_to_the_same(store, kind, tmp_path):
    lines = "".join(json_lines(pages(store, kind))).splitlines()
    events, rejected = valid_events([json.loads(line) for line in lines])
    assert rejected == []
    with Store(tmp_path / "other.db", clock=FixedClock(NOW)) as other:
        with other.transaction() as tx:
            record_usage(tx, priced_events(events, Prices()), [])
            record_usage(tx, priced_events(events, Prices()), [])
        for by in ("day", "model", "account", *(() if kind == "rollups" else ("session", "origin", "agent"))):
            ours, theirs = look(store, by), look(other, by)
            if kind == "rollups":  # a guessed cost stays what it was, and is given from then on
                ours, theirs = (
                    [(key, row.usage._replace(unpriced_tokens=0)) for key, row in found.rows]
                    for found in (ours, theirs)
                )
            assert theirs == ours


def test_an_event_comes_back_whole(store):
    with store.reading() as tx:
        stored = [event for _, event in ledger.numbered(tx, "e.id > ? ORDER BY e.id", (0,))]
    back = [TypeAdapter(EventBody).validate_python(event_document(event)).event() for event in stored]
    assert priced_events(back, Prices()) == stored


def test_an_export_begins_where_it_is_told_to(store):
    since = NOW - 10 * DAY
    count = sum(event.at >= since for event in EVENTS)
    assert len([event for page in pages(store, "events", since=since) for event in page]) == count
    with store.reading() as tx:
        assert export_page(tx, "events", after=10**6, since=None, most=5) == {"events": [], "next": None}


def test_a_spreadsheet_gets_columns_and_no_formulas(store):
    head, first, *_ = "".join(csv_lines(pages(store, "events"))).splitlines()
    assert head == ",".join(COLUMNS)
    row = dict(zip(COLUMNS, next(csv.reader([first])), strict=True))
    assert (row["model"], row["key"]) == (EVENTS[0].labels.model, "req_0")
    assert not any(
        line.startswith("=") or ",=" in line for line in "".join(csv_lines(pages(store, "events"))).splitlines()
    )
