"""Limits proposed for the subscriptions that were seen."""

import pytest

from quota_scheduler.core.limits.proposing import Proposal, proposed
from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing
from tests.builders import HOUR, MINUTE, MONDAY


def said(window, ratio=0.43, *, account="", provider="claude", scope="", ago=12 * MINUTE, resets=HOUR):
    return Observation(
        provider, account, window, MONDAY - ago, "status_line", ratio, MONDAY - ago + resets if resets else None, scope,
        Standing.UNKNOWN if ratio is not None else Standing.REJECTED,
    )  # fmt: skip


SAID = "Reported 43% used, resets Mon 23 Nov 09:48 UTC; by status_line, Mon 23 Nov 08:48 UTC."
TOLD_BY_HAND = (
    "Nothing was reported yet: put `quota-scheduler statusline` into Claude Code's settings, or tell it by hand."
)


@pytest.mark.parametrize(
    ("reports", "accounts", "proposals"),
    [
        pytest.param([], [], [], id="nothing was seen"),
        pytest.param([], [("google", "a"), ("mistral", "")], [], id="nobody whose windows can be observed"),
        pytest.param(
            [said(ProviderWindow.FIVE_HOUR)], [("anthropic", "default"), ("anthropic", "")],
            [Proposal("claude-five-hour", "", "claude/five_hour", SAID)], id="what was reported, default account",
        ),
        pytest.param(
            [said(ProviderWindow.WEEKLY_MODEL, account="Max 1", scope="Opus")], [],
            [Proposal("claude-max-1-weekly-opus", "Max 1", "claude/weekly_model/opus", SAID)], id="a family's week",
        ),
        pytest.param(
            [said(ProviderWindow.WEEKLY, ago=2 * HOUR, ratio=0.1), said(ProviderWindow.WEEKLY)], [],
            [Proposal("claude-weekly", "", "claude/weekly", SAID)], id="the newest report counts",
        ),
        pytest.param(
            [said(ProviderWindow.WEEKLY, None, resets=None)], [],
            [Proposal("claude-weekly", "", "claude/weekly",
                      "Reported its standing; by status_line, Mon 23 Nov 08:48 UTC.")],
            id="a refusal tells no share",
        ),
        pytest.param(
            [said(ProviderWindow.WEEKLY, provider="openai", scope="codex_other")], [], [],
            id="which models this binds nobody says",
        ),
        pytest.param(
            [], [("anthropic", "max"), ("openai", "")],
            [
                Proposal("claude-max-five-hour", "max", "claude/five_hour", TOLD_BY_HAND),
                Proposal("claude-max-weekly", "max", "claude/weekly", TOLD_BY_HAND),
                Proposal("codex-five-hour", "", "codex/five_hour",
                         "Nothing was reported yet: it comes with the sessions of Codex."),
                Proposal("codex-weekly", "", "codex/weekly",
                         "Nothing was reported yet: it comes with the sessions of Codex."),
            ],
            id="accounts without a report",
        ),
        pytest.param(
            [said(ProviderWindow.WEEKLY, account="a b"), said(ProviderWindow.WEEKLY, account="a-b")], [],
            [Proposal("claude-a-b-weekly", "a b", "claude/weekly", SAID),
             Proposal("claude-a-b-weekly-2", "a-b", "claude/weekly", SAID)],
            id="ids differ",
        ),
    ],
)  # fmt: skip
def test_proposals(reports, accounts, proposals):
    assert proposed(reports, accounts, now=MONDAY, zone="UTC") == proposals
