"""What a token is bound to: what is filled in, what is refused, whose a name is."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from quota_scheduler.core.labels import UNASKED, Labels
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.usage import Usage, UsageEvent

GROWTH = Scope((("team", "growth"),))
BOTH = Scope((("account", "max-1"), ("team", "growth")))
AT = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
CLAIMS = [
    pytest.param(
        GROWTH, Labels("anthropic"), Labels("anthropic", team="growth"), id="what claims nothing is filled in"
    ),
    pytest.param(
        GROWTH, Labels("a", team=UNASKED), Labels("a", team="growth"), id="what nobody asked for is filled in"
    ),
    pytest.param(GROWTH, Labels("a", team="growth"), Labels("a", team="growth"), id="what claims the same stays"),
    pytest.param(BOTH, Labels("a"), Labels("a", account="max-1", team="growth"), id="every label is filled in"),
    pytest.param(EVERYBODY, Labels("a", team="sales"), Labels("a", team="sales"), id="everybody's says what it likes"),
]


@pytest.mark.parametrize(("scope", "labels", "filled"), CLAIMS)
def test_labels_are_filled_in(scope: Scope, labels: Labels, filled: Labels) -> None:
    assert scope.filled(labels) == filled
    assert scope.holds(filled)


def test_another_team_is_refused_with_one_sentence() -> None:
    assert GROWTH.filled(Labels("a", team="sales")) == (
        "team: this token is bound to team 'growth': leave it out, or send a token of the other"
    )


def test_names_are_of_their_scope() -> None:
    assert [scope.named("night") for scope in (EVERYBODY, GROWTH, BOTH)] == [
        "night",
        "team=growth/night",
        "account=max-1,team=growth/night",
    ]
    assert [scope.plain(scope.named("night")) for scope in (EVERYBODY, GROWTH, BOTH)] == ["night"] * 3
    assert GROWTH.named("") == ""


EVENT = UsageEvent("k", AT, Labels("anthropic"), Usage(input=1), run="night", session="s1")


def test_an_event_carries_the_team_and_a_run_of_its_own() -> None:
    sent = replace(EVENT, labels=Labels("anthropic", team="growth"), run="team=growth/night")
    assert GROWTH.event(EVENT) == sent
    assert EVERYBODY.event(EVENT) is EVENT


def test_a_run_that_is_the_session_keeps_its_name() -> None:
    told = GROWTH.event(replace(EVENT, run="s1"))
    assert isinstance(told, UsageEvent)
    assert told.run == "s1"
