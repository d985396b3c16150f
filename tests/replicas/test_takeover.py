"""One leads, and another takes over: after a crash, a stop, or in good order; who was stopped writes nothing."""

from datetime import timedelta

import pytest

from quota_scheduler.errors import NotLeading
from quota_scheduler.store import audit, leadership
from quota_scheduler.tasks import TASKS, Where
from tests.replicas.several import RENEWAL, TTL, Several


def test_the_first_leads_and_the_others_follow(several: Several):
    first, second, third = several.join(), several.join(), several.join()
    several.pass_by(TTL * 3, first, second, third)
    assert [replica.leads for replica in (first, second, third)] == [True, False, False]
    assert several.row() == (first.service.leading.me.name, 1)


def test_who_falls_silent_is_followed_within_two_ttl_and_the_epoch_grows(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    several.pass_by(2 * TTL, second)
    assert (first.leads, second.leads, several.row()[1]) == (False, True, 2)


def test_who_takes_over_is_written_down_and_who_begins_is_not(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    several.pass_by(2 * TTL, second)
    with several.store.reading() as tx:
        entries = [(entry.who, entry.what, entry.detail) for entry in audit.entries(tx, audit.Wanted())]
    assert entries == [("127.0.0.1:9002", "leader.took_over", {"epoch": 2})]


def test_nobody_takes_over_while_the_leader_renews(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(10 * TTL, first, second)
    assert (first.leads, second.leads, several.row()[1]) == (True, False, 1)


def test_in_good_order_another_leads_at_once(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    first.service.leading.resign()
    second.beat()
    assert (second.leads, several.row()) == (True, (second.service.leading.me.name, 2))


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda service: service.tick(), id="the tick"),
        pytest.param(lambda service: service.prune(), id="deleting what is old"),
        pytest.param(lambda service: service.parts.deliverer.deliver(), id="giving up what is owed"),
        pytest.param(lambda service: service.ruling.rule(), id="putting its rules in force"),
        pytest.param(lambda service: service.ruling.refresh_limits(), id="renewing its limits"),
        pytest.param(lambda service: service.do_as_leader(leadership.standing).result(), id="any job of a leader"),
    ],
)
def test_an_ex_leader_that_was_stopped_writes_nothing(several: Several, write):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    several.pass_by(2 * TTL, second)
    first.service.parts.deliverer.begin_anew()
    before = several.dump()
    with pytest.raises(NotLeading):
        write(first.service)
    assert several.dump() == before


def test_a_leader_whose_time_is_over_writes_nothing_though_nobody_took_over_yet(several: Several):
    alone = several.join()
    several.clock.advance(TTL)
    before = several.dump()
    with pytest.raises(NotLeading):
        alone.service.tick()
    assert (several.dump() == before, alone.leads) == (True, False)


def test_it_goes_on_in_its_epoch_where_nobody_took_over(several: Several):
    alone = several.join()
    several.clock.advance(5 * TTL)
    alone.beat()
    assert (alone.leads, several.row()[1]) == (True, 1)


def test_who_comes_back_follows_and_may_lead_again_in_an_epoch_of_its_own(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    several.pass_by(2 * TTL, second)
    several.pass_by(TTL, first, second)
    assert (first.leads, first.epoch) == (False, 0)
    several.pass_by(2 * TTL, first)
    assert (first.leads, first.epoch, several.row()[1]) == (True, 3, 3)


def test_a_clock_that_is_set_back_does_not_keep_the_lead_with_the_dead(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    several.clock.at -= timedelta(hours=1)
    second.beat()
    assert second.leads


def test_a_database_of_one_process_is_led_without_a_row(several: Several):
    type(several.store).is_shared = False
    try:
        alone = several.join()
        several.pass_by(TTL, alone)
        dump = several.dump()
        assert (alone.leads, dump["leader"], dump["replicas"]) == (True, [], [])
        assert [name for name, *_ in dump["published"]] == ["shown"]  # what its counters showed, for a restart
    finally:
        type(several.store).is_shared = True


def test_takeovers_are_counted_where_they_happen(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    several.pass_by(2 * TTL, second)
    first.beat()
    name = "quota_scheduler_takeovers_total"
    assert [(one.samples()[name], one.samples()["quota_scheduler_leader"]) for one in (first, second)] == [
        (0, 0),
        (1, 1),
    ]


def test_every_job_has_its_place_in_the_table(several: Several):
    replica = several.join("github: {token: abc}\n")
    jobs = {job.name: job.where for job in replica.service._tasks()}
    assert {name: where for name, where in jobs.items() if where is Where.LEADER} == {
        name: task.where for name, task in TASKS.items() if task.where is Where.LEADER and name != "bills"
    }


def test_renewals_leave_room_for_two_that_are_lost(several: Several):
    first, second = several.join(), several.join()
    first.beat()
    several.clock.advance(3 * RENEWAL - timedelta(milliseconds=1))
    second.beat()
    assert (first.leads, second.leads) == (True, False)
