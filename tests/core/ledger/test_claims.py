import pytest

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.claims import claimed, claimed_total, of_scope, own_word
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.ledger.source_batch import Batch
from quota_scheduler.core.ledger.unlisted import SessionTotal, StatedUsage
from quota_scheduler.core.observations.observation import Observation, ProviderWindow
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.usage import Usage
from tests.builders import MONDAY, a_usage_event

GROWTH = Scope((("team", "growth"),))
OF_ANOTHER = "team: this token is bound to team 'growth': leave it out, or send a token of the other"


def total(team: str) -> SessionTotal:
    labels = Labels(provider="anthropic", team=team)
    return SessionTotal("s", 0, MONDAY, (StatedUsage(labels, Priority.NORMAL, Usage(input=1), 0),), None)


@pytest.mark.parametrize(
    ("scope", "team", "told"),
    [
        pytest.param(GROWTH, "", "growth", id="what is missing is filled in"),
        pytest.param(GROWTH, "growth", "growth", id="its own stays"),
        pytest.param(GROWTH, "ops", None, id="another's is refused"),
        pytest.param(EVERYBODY, "ops", "ops", id="everybody's token may say anything"),
    ],
)
@pytest.mark.parametrize("door", ["a body", "a shipment", "a session's total"])
def test_what_is_told_carries_the_labels_of_who_tells_it(scope, team, told, door):
    event = a_usage_event(1, team=team)
    if door == "a body":
        delivery = of_scope(Pushed("litellm", events=(event,)), scope)
        teams, refused = [one.labels.team for one in delivery.events], list(delivery.refused)
    elif door == "a shipment":
        batch, refused = claimed(Batch(events=(event,)), scope)
        teams = [one.labels.team for one in batch.events]
    else:
        answer = claimed_total(total(team), scope) if scope.is_bound else total(team)
        teams, refused = ([], [answer]) if isinstance(answer, str) else ([answer.stated[0].labels.team], [])
    assert (teams, refused) == (([told], []) if told else ([], [OF_ANOTHER]))


@pytest.mark.parametrize(
    ("account", "kept"),
    [
        pytest.param("", ["max-1"], id="one that names none is of its own"),
        pytest.param("max-1", ["max-1"], id="its own"),
        pytest.param("max-2", [], id="another's is not its to tell of"),
    ],
)
def test_a_token_bound_to_an_account_tells_of_that_alone(account, kept):
    word = Observation("anthropic", account, ProviderWindow.FIVE_HOUR, MONDAY, "observe", 0.5)
    observations, _ = own_word((word,), (), Scope((("account", "max-1"),)))
    assert [one.account for one in observations] == kept


def test_a_token_of_a_team_is_believed_about_shared_accounts():
    word = Observation("anthropic", "max-2", ProviderWindow.FIVE_HOUR, MONDAY, "observe", 0.5)
    assert own_word((word,), (), GROWTH) == ((word,), ())
