"""What the leader computed is what every replica shows, and says from when it is."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.readings.other_hosts import ShippedSource
from quota_scheduler.core.readings.readings import SourceReading
from quota_scheduler.facade import Facade
from quota_scheduler.metrics.table import FAMILIES
from quota_scheduler.service.operate.limits import hold_all
from quota_scheduler.store import leadership, shipped
from tests.replicas.several import LIMITS, RENEWAL, START, TTL, Several

LIVE = tuple(family.name for family in FAMILIES if family.live)


def shared(samples):
    """What a replica does not expose of its own."""
    return {name: value for name, value in samples.items() if name.startswith("quota_") and not name.startswith(LIVE)}


def test_metrics_are_the_same_on_all_replicas(several: Several):
    first, second, third = several.join(), several.join(), several.join()
    several.use("a", 300)
    several.pass_by(TTL, first, second, third)
    exposed = [shared(replica.samples()) for replica in (first, second, third)]
    assert exposed[0]['quota_used_tokens{limit="daily"}'] == 300
    assert exposed[1:] == [exposed[0], exposed[0]]


def test_readings_and_outlooks_are_the_same_values(several: Several):
    first, second = several.join(), several.join()
    several.use("a", 300)
    several.pass_by(TTL, first, second)
    assert second.service.readings == first.service.readings
    assert second.service.writer.terms.outlooks == first.service.writer.terms.outlooks


def test_who_joins_late_shows_counters_where_they_stand(several: Several):
    first = several.join()
    several.use("a", 300)
    several.pass_by(TTL, first)
    with several.store.transaction() as tx:  # a correction downwards, as of a call that was told twice
        tx.execute("UPDATE rollups SET output = 100")
    several.pass_by(TTL, first)
    second = several.join()
    several.pass_by(TTL, first, second)
    assert shared(second.samples()) == shared(first.samples())


def test_while_nobody_leads_the_last_readings_stay_and_age(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    at = several.clock()
    several.clock.advance(TTL - timedelta(seconds=1))
    second.service.follow()
    age = second.samples()["quota_scheduler_snapshot_timestamp_seconds"]
    assert (age, second.service.readings.at) == (at.timestamp(), at)


def test_readings_of_another_version_are_passed_over_and_said_so_once(several: Several, caplog):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    before = second.service.readings
    for _ in range(3):
        several.clock.advance(RENEWAL)
        first.beat()
        with several.store.transaction() as tx:
            leadership.publish(tx, leadership.READINGS, 1, shape="of another version", body="?")
        second.beat()
    said = [record.message for record in caplog.records if "replica." in record.message]
    assert (second.service.readings, len(said)) == (before, 1)
    several.clock.advance(RENEWAL)
    first.beat()
    second.beat()
    assert second.service.readings == first.service.readings


def test_a_limit_changed_through_one_replica_holds_on_all(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    facade = Facade(second.service)
    facade.change_limit("daily", {"amount": 5000}, until=None, who="ana", dry_run=False).result()
    several.pass_by(RENEWAL, first, second)
    amounts = [replica.service.writer.terms.limits[0].amount for replica in (first, second)]
    assert (amounts, second.service.readings.limits[0].balance.amount) == ([5000, 5000], 5000)


def test_a_hold_through_one_replica_holds_on_all(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    with several.store.transaction() as tx:
        hold_all(tx, "incident", who="ana")
    several.pass_by(RENEWAL, first, second)
    assert [replica.service.writer.terms.hold for replica in (first, second)] == [True, True]
    assert [replica.samples()["quota_scheduler_held"] for replica in (first, second)] == [1, 1]


def test_what_a_follower_reads_on_its_host_is_in_the_leaders_readings(several: Several):
    first, second = several.join(), several.join()
    service = second.service
    reading = SourceReading("codex", False, 1.0, 2, 3, 4, 5)
    several.pass_by(2 * RENEWAL, first)
    me = replace(service.leading.me, sources=(reading,))
    service.leading.look(me)
    first.beat()
    elsewhere = [source for source in first.service.readings.sources if source.source == f"codex@{me.host}"]
    assert elsewhere == [replace(reading, source=f"codex@{me.host}")]


def test_what_shippers_said_to_a_follower_is_in_the_leaders_readings(several: Several):
    first, second = several.join(), several.join()
    zero = timedelta(0)
    with several.store.transaction() as tx:
        shipped.save(tx, [ShippedSource("laptop", "codex", several.clock(), zero, False, 0, 3, 4, 5, zero, "1")])
    several.pass_by(RENEWAL, first, second)
    assert [source.source for source in second.service.readings.sources if "@" in source.source] == ["codex@laptop"]
    assert second.service.source_passes() == first.service.readings.sources


@pytest.mark.parametrize(
    ("silent", "ready"),
    [pytest.param(timedelta(0), 2, id="both are there"), pytest.param(3 * TTL, 1, id="one is silent")],
)
def test_replicas_are_counted(several: Several, silent, ready):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    several.pass_by(silent, first)
    first.beat()
    assert first.samples()['quota_scheduler_replicas{rules="agrees"}'] == ready


def test_the_clock_of_all_is_one(several: Several):
    assert several.join(LIMITS).service.store.clock() == START


def test_a_replica_is_ready_once_it_has_readings_to_show(several: Several):
    first, second = several.join(), several.join()
    waits = ["no limit has been read yet: the first readings of the leader are waited for"]
    assert (first.not_ready(), second.not_ready()) == (waits, waits)
    first.beat()
    assert (first.not_ready(), second.not_ready()) == ([], waits)
    second.beat()
    assert second.not_ready() == []


def test_a_leader_that_starts_again_shows_what_was_read_last_while_it_catches_up(several: Several):
    first = several.join()
    several.use("a", 300)
    several.pass_by(TTL, first)
    at = first.service.readings.at
    first.service.leading.resign()
    second = several.join()
    (ingest, *_) = second.service.parts.ingests
    ingest.progress.catching_up = True
    several.pass_by(RENEWAL, second)
    assert (second.service.leads, second.not_ready()) == (True, [])
    assert (second.service.readings.at, [one.limit for one in second.service.readings.limits]) == (at, ["daily"])


def test_the_course_of_a_window_is_the_same_on_all_replicas(several: Several):
    first, second = several.join(), several.join()
    for key, tokens in (("a", 300), ("b", 50)):
        several.use(key, tokens)
        several.clock.advance(timedelta(minutes=61))
        several.pass_by(2 * RENEWAL, first, second)
    courses = []
    for replica in (first, second):
        facade = Facade(replica.service)
        (reading,) = facade.readings.limits
        courses.append(facade.course(reading))
    assert (len(courses[0]), courses[0][-1][1], courses[1]) == (2, 350.0, courses[0])
