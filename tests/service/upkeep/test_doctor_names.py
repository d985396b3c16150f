"""What the doctor says about names: spellings that no limit took, limits that bound nothing, letter case."""

import pytest

from quota_scheduler.core.labels import match_of
from quota_scheduler.service.upkeep import doctor
from tests.builders import DAY, MONDAY, a_limit, a_usage_event

OPUS = a_limit(id="opus", match=match_of({"provider": "anthropic", "model": "claude-opus-*"}))
PER_TEAM = a_limit(10**6, id="team", per="team")


def said(here, check):
    with here.store.transaction() as tx:
        return next(finding.detail for finding in doctor.examine(tx, here.limits) if finding.check == check)


@pytest.mark.parametrize(
    ("events", "detail"),
    [
        pytest.param(
            [("anthropic", "claude-opus-5"), ("Anthropic", "us.anthropic.claude-opus-4-6-v1:0")],
            "every limit has taken what it names",
            id="B2: all spellings of a family",
        ),
        pytest.param(
            [("anthropic", "claude-opsu-5"), ("anthropic", "claude-haiku-4-5"), ("anthropic", "")],
            "no limit about models took claude-haiku-4-5, claude-opsu-5, no model of anthropic in the last 7 days",
            id="B2: what is spelt otherwise",
        ),
        pytest.param([("openai", "gpt-5.5")], "every limit has taken what it names", id="B2: another provider"),
    ],
)  # fmt: skip
def test_spellings_that_no_limit_took_are_named(world, events, detail):
    here = world(OPUS)
    for number, (provider, model) in enumerate(events):
        here.record(a_usage_event(key=f"e{number}", provider=provider, model=model))
    assert said(here, "spellings") == detail


def test_B2_what_is_older_than_a_week_is_not_named(world):
    here = world(OPUS)
    here.record(a_usage_event(model="claude-haiku-4-5", at=MONDAY - 8 * DAY))
    assert (said(here, "spellings"), said(here, "limits in use")) == (
        "every limit has taken what it names",
        "no event of the last 7 days has bound opus",
    )


def test_B2_teams_that_differ_in_case_alone_are_named(world):
    here = world(PER_TEAM)
    here.record(a_usage_event(key="a", team="Growth"), a_usage_event(key="b", team="growth"))
    assert said(here, "letter case") == "these count apart: team Growth and growth"
