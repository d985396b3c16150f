"""Which door counts where an agent's use is told by several that cannot be matched."""

import pytest

from quota_scheduler.core.ledger.doors import Teller, Telling
from quota_scheduler.core.readings.chosen_doors import ChosenDoor, chosen_doors


def tellers(*tellings, account="", agent="codex", host=""):
    return [Teller(account, agent, host, telling) for telling in tellings]


@pytest.mark.parametrize(
    ("told", "counted", "left_out"),
    [
        pytest.param([Telling.FILES], (), (), id="one door"),
        pytest.param([Telling.FILES, Telling.REQUESTS], (), (), id="two that share ids"),
        pytest.param([Telling.FILES, Telling.NAMELESS], (Telling.NAMELESS,), (Telling.FILES,), id="events first"),
        pytest.param([Telling.FILES, Telling.METRICS], (Telling.FILES,), (Telling.METRICS,), id="files before metrics"),
        pytest.param(
            [Telling.FILES, Telling.GATEWAY, Telling.NAMELESS],
            (Telling.NAMELESS,), (Telling.FILES, Telling.GATEWAY), id="events before both",
        ),
        pytest.param(
            [Telling.GATEWAY, Telling.METRICS, Telling.REQUESTS],
            (Telling.REQUESTS,), (Telling.GATEWAY, Telling.METRICS), id="requests before the gateway and metrics",
        ),
    ],
)  # fmt: skip
def test_choices(told, counted, left_out):
    choices = chosen_doors(tellers(*told))
    assert [(one.counted, one.left_out) for one in choices] == ([(counted, left_out)] if left_out else [])


def test_accounts_and_hosts_choose_for_themselves():
    files, events = tellers(Telling.FILES), tellers(Telling.NAMELESS, host="build-7")
    both = tellers(Telling.FILES, Telling.METRICS, account="max", host="build-7")
    assert chosen_doors([*files, *events, *both]) == [
        ChosenDoor("max", "codex", "build-7", (Telling.FILES,), (Telling.METRICS,))
    ]
    (choice,) = chosen_doors(both)
    assert choice.document() == {
        "account": "max", "agent": "codex", "host": "build-7", "counted": ["files"], "left_out": ["metrics"],
        "detail": "codex of max on build-7: files count, metrics only where those tell nothing.",
    }  # fmt: skip
