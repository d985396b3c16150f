"""Replicas that are configured differently: they decide alike, and who differs is not ready and says why."""

from datetime import timedelta

import pytest

from quota_scheduler.glance.words import replicas_line
from tests.replicas.several import LIMITS, RENEWAL, TTL, Several

OTHER = LIMITS.replace("1000", "2000")
HEAD = f"leader_ttl: {TTL.total_seconds():g}\n"
DIFFERS = (
    "the configuration here decides otherwise than that of the leader at 127.0.0.1:9001: limit daily: amount is "
    "2,000 tokens here and 1,000 tokens there; give all replicas the same one: this one is ready as soon as they agree"
)


def amount(replica) -> int:
    return replica.service.writer.terms.limits[0].amount


def test_who_differs_is_not_ready_says_what_and_decides_as_the_leader_does(several: Several):
    first, second = several.join(), several.join(OTHER)
    several.pass_by(TTL, first, second)
    assert (first.not_ready(), second.not_ready()) == ([], [DIFFERS])
    assert (amount(first), amount(second)) == (1000, 1000)
    assert [one.samples()["quota_scheduler_rules_differ"] for one in (first, second)] == [0, 1]
    assert first.samples()['quota_scheduler_replicas{rules="differs"}'] == 1


@pytest.mark.parametrize(
    "path", [pytest.param("/readyz", id="the probe"), pytest.param("/v1/limits", id="whoever asks for limits")]
)
def test_who_is_there_and_who_leads_is_told(several: Several, path):
    first, second = several.join(), several.join(OTHER)
    several.pass_by(2 * TTL, first, second)
    told = first.get(path)["replica"]
    rows = [(one["address"], one["leads"], one["problem"]) for one in told["replicas"]]
    assert (told["leader"], told["epoch"]) == ("127.0.0.1:9001", 1)
    assert rows == [("127.0.0.1:9001", True, None), ("127.0.0.1:9002", False, DIFFERS)]
    assert replicas_line(told) == ("2 replicas, 127.0.0.1:9001 leads; not ready, configured otherwise: 127.0.0.1:9002")


def test_a_reading_of_the_same_configuration_heals_it(several: Several):
    first, second = several.join(), several.join(OTHER)
    several.pass_by(TTL, first, second)
    second.reread(HEAD + LIMITS)
    several.pass_by(RENEWAL, first, second)
    assert (second.not_ready(), amount(second)) == ([], 1000)


def test_a_start_with_the_same_configuration_heals_it(several: Several):
    first, second = several.join(), several.join(OTHER)
    several.pass_by(TTL, first, second)
    second.service.leading.resign()
    third = several.join()
    several.pass_by(TTL, first, third)
    assert third.not_ready() == []
    assert first.samples()['quota_scheduler_replicas{rules="differs"}'] == 0


def test_a_leader_that_reads_another_configuration_rules_by_it(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    first.reread(HEAD + OTHER)
    several.pass_by(RENEWAL, first, second)
    assert (amount(first), amount(second), first.not_ready()) == (2000, 2000, [])
    assert "amount is 1,000 tokens here and 2,000 tokens there" in second.not_ready()[0]
    second.reread(HEAD + OTHER)
    assert second.not_ready() == []


def test_a_follower_that_reads_another_configuration_changes_nothing(several: Several):
    first, second = several.join(), several.join()
    several.pass_by(TTL, first, second)
    second.reread(HEAD + OTHER)
    several.pass_by(RENEWAL, first, second)
    assert (amount(first), amount(second), second.not_ready()) == (1000, 1000, [DIFFERS])


def test_a_new_configuration_rules_when_the_last_with_the_old_one_has_left(several: Several):
    first, second, third = several.join(), several.join(OTHER), several.join()
    several.pass_by(TTL, first, second, third)
    first.service.leading.resign()
    several.pass_by(RENEWAL, second, third)
    assert (second.leads, third.leads, amount(second)) == (False, True, 1000)
    third.service.leading.resign()
    several.pass_by(RENEWAL, second)
    assert (second.leads, amount(second), second.not_ready()) == (True, 2000, [])


def test_a_crash_in_the_middle_of_a_roll_out_changes_no_rules(several: Several):
    first, second, third = several.join(), several.join(OTHER), several.join()
    several.pass_by(TTL, first, second, third)
    several.pass_by(2 * TTL, second, third)
    assert (second.leads, third.leads, amount(second)) == (False, True, 1000)


def test_used_up_windows_survive_a_replica_with_other_limits(several: Several):
    first = several.join()
    several.use("a", 700)
    several.pass_by(TTL, first)
    second = several.join("limits: [{id: other, unit: usd, amount: 5, window: day}]\n")
    several.pass_by(TTL, first, second)
    (reading,) = second.service.readings.limits
    assert (reading.limit, reading.balance.used) == ("daily", 700)
    assert "limit daily is not configured here and 1,000 tokens there" in second.not_ready()[0]


def test_a_replica_that_was_told_otherwise_counts_by_the_leaders_rules(several: Several):
    first, second = several.join(), several.join(OTHER)
    several.replicas.reverse()  # usage comes in through the second
    several.pass_by(timedelta(seconds=2), second, first)
    several.use("a", 400)
    several.pass_by(TTL, first, second)
    assert first.service.readings.limits[0].balance.used == 400
