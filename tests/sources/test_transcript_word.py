"""Limit lines in the transcripts of Claude Code, read in one pass with the usage beside them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing, Throttle
from quota_scheduler.sources import claude_code

WHEN = datetime(2026, 10, 2, 15, tzinfo=UTC)
RESET = datetime(2026, 10, 2, 18, tzinfo=UTC)
ZEROS = {"input_tokens": 0, "output_tokens": 0, "speed": None, "service_tier": None, "iterations": None}


def line(kind: str = "assistant", **said) -> bytes:
    whole = {"type": kind, "timestamp": "2026-10-02T15:00:00.000Z", "sessionId": "S", "cwd": "/srv/app", **said}
    return json.dumps(whole, separators=(",", ":")).encode() + b"\n"


def answer(key: str = "req_1", **usage) -> bytes:
    usage = {"input_tokens": 10, "output_tokens": 5, **usage}
    return line(requestId=key, message={"id": f"msg_{key}", "model": "claude-opus-5", "usage": usage})


def made_up(text: str = "You've hit your session limit · resets 6pm (UTC)", **said) -> bytes:
    message = {"id": "x", "model": "<synthetic>", "content": [{"type": "text", "text": text}], "usage": ZEROS}
    return line(isApiErrorMessage=True, error="rate_limit", apiErrorStatus=429, message=message, **said)


QUOTA = {"status": "rejected", "resetsAt": RESET.timestamp(), "rateLimitType": "five_hour"}
EXACT = made_up(apiError="usage_limit_reached", quotaLimits=QUOTA, requestId="req_2")
RETRIED = line("system", subtype="api_error", error={"status": 529}, retryInMs=500)
QUOTED = line("user", message={"role": "user", "content": [{"type": "tool_result", "content": EXACT.decode()}]})
SPENT = Observation(
    "anthropic",
    "max-1",
    ProviderWindow.FIVE_HOUR,
    WHEN,
    "claude_code",
    resets_at=RESET,
    standing=Standing.REJECTED,
)
MOMENT = Throttle("anthropic", "max-1", WHEN, "claude_code", timedelta(milliseconds=500))


def scan(root: Path, known=None):
    labels = claude_code.labeller(account="elsewhere", accounts={root: "max-1"})
    (batch,) = claude_code.scan([root], known or {}, labeller=labels)
    return batch


@pytest.fixture
def root(tmp_path):
    (tmp_path / "projects" / "app").mkdir(parents=True)
    return tmp_path / "projects"


@pytest.mark.parametrize(
    ("lines", "reports", "throttles"),
    [
        pytest.param([EXACT], (SPENT,), (), id="a limit line"),
        pytest.param([made_up()], (SPENT,), (), id="a sentence alone"),
        pytest.param([answer(), EXACT, answer("req_3")], (SPENT,), (), id="between answers"),
        pytest.param([RETRIED, answer()], (), (MOMENT,), id="a refusal after which it tried again"),
        pytest.param([QUOTED, answer()], (), (), id="a tool printed a limit line"),
        pytest.param(
            [b'{"usage":\n', EXACT, b'{"type":"system","subtype":"api_error"\n'], (SPENT,), (), id="garbled lines"
        ),
        pytest.param([made_up("No response requested.")], (), (), id="made up, about something else"),
        pytest.param([made_up(timestamp=None)], (), (), id="a line that says not when"),
    ],
)
def test_what_a_transcript_tells(root, lines, reports, throttles):
    (root / "app" / "S.jsonl").write_bytes(b"".join(lines))
    batch = scan(root)
    assert (batch.observations, batch.throttles) == (reports, throttles)
    assert len(batch.events) == sum(b'"claude-opus-5"' in one for one in lines)


def test_what_was_told_is_not_told_again(root):
    file = root / "app" / "S.jsonl"
    file.write_bytes(EXACT)
    first = scan(root)
    file.write_bytes(EXACT + answer())
    second = scan(root, {state.path: state for state in first.files})
    assert (first.observations, second.observations, len(second.events)) == ((SPENT,), (), 1)
