"""Fields that nobody here knows are named; all that the real programs wrote in November 2026 is known."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from quota_scheduler.sources.agents import AGENTS
from quota_scheduler.sources.unknown_fields import UnknownField, unknown_fields

DATA = Path(__file__).parents[1] / "data" / "agents"

CLAUDE = {"type": "assistant", "version": "2.2.1", "message": {"usage": {"input_tokens": 1}}}
USAGE = {"input_tokens": 1, "output_tokens": 2}
LIMITS = {"primary": {"used_percent": 1, "window_minutes": 60, "burst": 1}, "tier": 2}


def write(folder: Path, *records: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "a.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


@pytest.mark.parametrize(
    ("source", "records", "fields", "version"),
    [
        pytest.param("claude_code", [CLAUDE], [], "2.2.1", id="nothing new"),
        pytest.param(
            "claude_code",
            [{**CLAUDE, "message": {"usage": {**USAGE, "agent_tokens": 5, "cache_creation": {"ephemeral_1d": 1}}}}],
            ["message.usage.agent_tokens", "message.usage.cache_creation.ephemeral_1d"],
            "2.2.1",
            id="kinds of tokens",
        ),
        pytest.param(
            "claude_code",
            [{"type": "cost-state", "modelUsage": {"m": {"inputTokens": 1, "videoTokens": 2}}}],
            ["modelUsage.*.videoTokens"],
            "",
            id="a session's own total",
        ),
        pytest.param(
            "claude_code",
            [{**CLAUDE, "isApiErrorMessage": True, "quotaLimits": {"status": "rejected", "pool": 1}}],
            ["rate_limit_info.pool"],
            "2.2.1",
            id="a limit line",
        ),
        pytest.param(
            "codex",
            [
                {"type": "session_meta", "payload": {"cli_version": "0.200.0"}},
                {"type": "token_usage_record", "payload": {"usage": {"input_tokens": 1, "video_tokens": 2}}},
                {"type": "event_msg", "payload": {"type": "token_count", "rate_limits": LIMITS}},
            ],
            [
                "payload.usage.video_tokens",
                "rate_limits.primary.burst",
                "rate_limits.primary: a window of 60 minutes is not known",
                "rate_limits.tier",
            ],
            "0.200.0",
            id="Codex, its windows too",
        ),
        pytest.param(
            "qwen",
            [{"systemPayload": {"uiEvent": {"input_token_count": 1, "video_token_count": 2, "ttft": 3}}}],
            ["systemPayload.uiEvent.video_token_count"],
            "",
            id="of telemetry only counts of tokens",
        ),
        pytest.param("claude_code", ['{"usage"', [1], {"message": {"usage": 7}}], [], "", id="garbled lines"),
    ],
)
def test_what_is_new_is_named(tmp_path, source, records, fields, version):
    file = write(tmp_path, *records)
    named = unknown_fields({source: [tmp_path]})
    assert named == [UnknownField(source, field, version, str(file)) for field in sorted(fields)]


@pytest.mark.parametrize("program", ["codex", "gemini", "pi", "qwen", "copilot"])
def test_all_that_the_programs_write_today_is_known(program, tmp_path):
    home = shutil.copytree(DATA / program, tmp_path / "home")
    assert unknown_fields({program: [home / inside for inside in AGENTS[program].inside]}) == []


def test_messages_of_opencode_are_looked_at_in_its_database(tmp_path):
    path = tmp_path / "opencode.db"
    data = {"role": "assistant", "tokens": {"input": 1, "video": 2, "cache": {"read": 0, "kept": 1}}}
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE message (data TEXT, time_updated INTEGER)")
        database.execute("INSERT INTO message VALUES (?, 1)", (json.dumps(data),))
    database.close()
    assert [field.field for field in unknown_fields({"opencode": [path, tmp_path / "none.db"]})] == [
        "tokens.cache.kept",
        "tokens.video",
    ]
