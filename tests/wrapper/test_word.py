"""What agents say about limits while they run: which of it ends a run as paused."""

import pytest

from quota_scheduler.wrapper.word import Said

CODEX = "You’ve hit your usage limit. Upgrade to Pro (https://example.org) or try again at 9:06 PM."
LIMIT = {"type": "result", "is_error": True, "api_error_status": 429, "api_error": "usage_limit_reached"}


@pytest.mark.parametrize(
    ("records", "limit_hit", "reports"),
    [
        pytest.param(
            [LIMIT | {"result": "You've hit your 5-hour limit · resets 8:20pm (UTC)"}],
            "You've hit your 5-hour limit · resets 8:20pm (UTC)",
            ["rejected"],
            id="claude: a plan's limit",
        ),
        pytest.param([LIMIT], "the agent's usage limit is reached", [], id="claude: no sentence"),
        pytest.param(
            [
                {
                    "type": "result",
                    "is_error": True,
                    "api_error_status": 429,
                    "result": "API Error: Request rejected (429) · slow down",
                }
            ],
            "",
            ["throttled"],
            id="claude: a moment's refusal",
        ),
        pytest.param(
            [LIMIT, {"type": "result", "is_error": False, "result": "done"}], "", [], id="a later step got through"
        ),
        pytest.param(
            [{"type": "error", "message": CODEX}, {"type": "turn.failed", "error": {"message": CODEX}}],
            CODEX,
            None,
            id="codex: its usage limit, told twice",
        ),
        pytest.param([{"type": "error", "message": "Incomplete response returned"}], "", [], id="codex: another error"),
        pytest.param(
            [{"type": "result", "is_error": True, "subtype": "error_during_execution"}], "", [], id="an interrupt"
        ),
        pytest.param(
            [{"type": "error", "error": "limit"}, {"type": "assistant", "message": []}], "", [], id="other shapes"
        ),
    ],
)
def test_what_ends_a_run(records, limit_hit, reports):
    said = Said("work")
    for record in records:
        said.take(record)
    assert said.limit_hit == limit_hit
    if reports is not None:
        assert [report.get("status") or "throttled" for report in said.reports] == reports
    assert all(report["account"] == "work" for report in said.reports)
