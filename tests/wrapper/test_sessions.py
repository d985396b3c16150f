"""What a session had used before a run: by the agent's own file, else as the last run here saw it."""

import json
from pathlib import Path

import pytest

from quota_scheduler.wrapper.sessions import Beginnings, Sessions

TOTAL = {"claude-opus-5-5": {"inputTokens": 100, "outputTokens": 20, "cacheReadInputTokens": 900}}
CLAUDE = [
    {"type": "assistant", "message": {"id": "m"}},
    {"type": "cost-state", "sessionId": "s", "modelUsage": {"claude-opus-5-5": {"inputTokens": 1}}},
    {"type": "cost-state", "sessionId": "s", "modelUsage": TOTAL},
]
THREAD = {"input_tokens": 500, "cached_input_tokens": 300, "output_tokens": 40}
CODEX = [{"type": "event_msg", "payload": {"type": "token_count", "info": {"total_token_usage": THREAD}}}]


def qwen(number: str, given: int) -> dict[str, object]:
    answer = {
        "event.name": "qwen-code.api_response", "response_id": number, "model": "qwen3.8-coder",
        "input_token_count": given, "cached_content_token_count": 100, "output_token_count": 7,
    }  # fmt: skip
    return {"type": "system", "subtype": "ui_telemetry", "systemPayload": {"uiEvent": answer}}


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return Sessions(tmp_path / "state", {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("place", "records", "began"),
    [
        pytest.param(
            ".claude/projects/-srv-app/s.jsonl",
            CLAUDE,
            {"claude-opus-5-5": {"input": 100, "cache_read": 900, "cache_write_5m": 0, "cache_write_1h": 0,
                                 "output": 20}},
            id="claude: the last total",
        ),
        pytest.param(
            ".codex/sessions/2026/11/28/rollout-2026-11-28T00-00-00-s.jsonl",
            CODEX,
            {"m": {"input": 200, "cache_read": 300, "cache_write_5m": 0, "output": 40}},
            id="codex: of whatever model",
        ),
        pytest.param(
            ".qwen/projects/-srv-app/chats/s.jsonl",
            [qwen("a", 300), qwen("b", 400), qwen("b", 400)],
            {"qwen3.8-coder": {"input": 500, "cache_read": 200, "output": 14}},
            id="qwen-code: its answers, each once",
        ),
        pytest.param("elsewhere", [], None, id="nobody knows it"),
    ],
)  # fmt: skip
def test_a_session_began_with_what_its_file_says(tmp_path, sessions, place, records, began) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(record) + "\n" for record in records) + '{"half a')
    assert Beginnings(sessions, ["agent"], "s").of("s", {"m": {}}) == began


@pytest.mark.parametrize(
    ("command", "resumed", "session", "began"),
    [
        pytest.param(["agent"], "s", "s", {"m": {"input": 5}}, id="resumed here before"),
        pytest.param(["qwen", "-r", "s", "--fork-session"], "s", "t", {"m": {"input": 5}}, id="a fork of it"),
        pytest.param(["script"], "", "s", {"m": {"input": 5}}, id="a script resumed it by itself"),
        pytest.param(["agent"], "", "new", {}, id="it began with this run"),
        pytest.param(["agent", "--continue"], "", "new", None, id="it goes on with one that nobody here saw"),
    ],
)
def test_what_an_earlier_run_here_saw(sessions, command, resumed, session, began) -> None:
    sessions.remember({"s": {"m": {"input": 5}}, "../evil": {"m": {"input": 9}}})
    assert Beginnings(sessions, command, resumed).of(session, {"m": {"input": 9}}) == began
