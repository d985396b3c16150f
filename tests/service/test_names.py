"""Scopes know a model and a provider by any of their spellings, for usage and for tickets alike."""

import pytest

from quota_scheduler.core.admission.explanation import unnamed_model
from quota_scheduler.core.labels import match_of
from tests.builders import HOUR, MONDAY, a_limit, a_usage_event
from tests.service.world import said

OPUS = a_limit(100, id="opus", match=match_of({"provider": "Anthropic", "model": "anthropic/claude-opus-4-6"}))
PER_MODEL = a_limit(100, id="each", per="model", overrides=(("Claude-Haiku-4-5", 300),))
SPELLINGS = (
    "claude-opus-4-6",
    "claude-opus-4-6[1m]",
    "claude-opus-4-6@default",
    "us.anthropic.claude-opus-4-6-v1:0",
    "Claude-Opus-4-6",
    "claude-opus-4-6-20260205",
    "claude-opus-4-6-fast",
)


@pytest.mark.parametrize("provider", ["anthropic", "Anthropic"])
@pytest.mark.parametrize("model", SPELLINGS)
def test_B2_usage_counts_and_tickets_wait_under_every_spelling(world, model, provider):
    here = world(OPUS)
    here.record(a_usage_event(100, model=model, provider=provider))
    assert here.windows()["opus"][0] == 100
    assert said(here.submit(5, model=model, provider=provider)) == ("defer", "exhausted")


@pytest.mark.parametrize(
    ("provider", "model", "answer"),
    [
        pytest.param("anthropic", "", ("defer", "exhausted"), id="no model: it could be the one that is spent"),
        pytest.param("openai", "", ("admit",), id="no model, of another provider"),
        pytest.param("anthropic", "claude-haiku-4-5", ("admit",), id="another model"),
        pytest.param("bedrock", "us.anthropic.claude-opus-4-6-v1:0", ("admit",), id="another meter"),
    ],
)
def test_B2_a_ticket_is_bound_by_the_model_limits_it_could_fall_under(world, provider, model, answer):
    here = world(OPUS)
    here.record(a_usage_event(100, model="claude-opus-4-6"))
    assert said(here.submit(5, model=model, provider=provider)) == answer


def test_B2_usage_without_a_model_is_no_usage_of_a_model(world):
    here = world(OPUS, a_limit(1_000))
    here.record(a_usage_event(100))
    assert {name: used for name, (used, _, _) in here.windows().items()} == {"day": 100}


def test_B2_a_ticket_that_names_no_model_is_told_what_binds_it(world):
    here = world(OPUS, a_limit(1_000))
    told = [unnamed_model(here.submit(5, model=model).ticket, here.limits) for model in ("", "claude-haiku-4-5")]
    assert told == [
        "It names no model, so it is bound by the limit opus, which is about models it could call: "
        "name the model it will call.",
        "",
    ]


def test_B2_an_instance_and_its_override_are_of_the_model_not_of_its_spelling(world):
    here = world(PER_MODEL)
    here.record(
        a_usage_event(10, key="a", model="claude-haiku-4-5-20251001"),
        a_usage_event(5, key="b", model="claude-haiku-4-5"),
    )
    assert here.windows() == {"each/claude-haiku-4-5": (15, 0, 0)}
    assert said(here.submit(280, model="us.anthropic.claude-haiku-4-5-20251001-v1:0")) == ("admit",)
    assert said(here.submit(280, model="claude-opus-5")) == ("reject", "never_fits")


def test_B2_a_pattern_selects_a_family(world):
    here = world(a_limit(100, id="opus", match=match_of({"model": ["claude-opus-*", "gpt-5.?"]})))
    for number, model in enumerate(
        ("claude-opus-5[1m]", "eu.anthropic.claude-opus-4-6-v1:0", "gpt-5.5", "gpt-5.4-mini")
    ):
        here.record(a_usage_event(10, key=f"e{number}", model=model))
    assert here.windows()["opus"][0] == 30


def test_B2_a_team_is_its_bytes(world):
    here = world(a_limit(100, id="team", per="team"))
    here.record(a_usage_event(10, key="a", team="Growth"), a_usage_event(5, key="b", team="growth"))
    assert here.windows() == {"team/Growth": (10, 0, 0), "team/growth": (5, 0, 0)}


def test_B5_a_correction_after_a_limit_was_redefined_counts_in_the_window_that_rules(world):
    here = world(a_limit(1_000))
    early = MONDAY - HOUR
    here.record(a_usage_event(10, key="a", at=early), a_usage_event(20, key="b", at=early))
    here.change(a_limit(1_000, weights=(1000, 0, 1000, 1000, 1000)))
    here.record(a_usage_event(1, key="c", at=early))
    here.record(a_usage_event(70, key="a", at=early))
    assert here.windows() == {"day": (91, 0, 0)}
