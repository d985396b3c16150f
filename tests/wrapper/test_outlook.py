"""When a running agent is warned, and how the hook says it in its session: by time, by percent, each once."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from quota_scheduler.aside.live import words_for
from quota_scheduler.wrapper.outlook import WHAT_TO_DO, RunFolder, WarnAt, nearest_wall

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def row(limit: str, *, used: float = 0.5, spent_in: float | None = None, mode: str = "enforce") -> dict[str, object]:
    at = (NOW + timedelta(minutes=spent_in)).isoformat() if spent_in is not None else None
    ends = (NOW + timedelta(hours=5)).isoformat()
    return {"limit": limit, "usage_ratio": used, "mode": mode, "ends_at": ends, "forecast": {"exhaustion_at": at}}


@pytest.mark.parametrize(
    ("rows", "wall"),
    [
        pytest.param(
            [row("w", used=0.94, spent_in=7)], ("w:time", "seven minutes to the wall (w, 94% used): "), id="by time"
        ),
        pytest.param([row("w", spent_in=1)], ("w:time", "one minute to the wall (w, 50% used): "), id="one minute"),
        pytest.param([row("w", used=0.96)], ("w:ratio", "96% of w is used: "), id="by percent"),
        pytest.param(
            [row("w", spent_in=9), row("d", spent_in=2)],
            ("d:time", "two minutes to the wall (d, 50% used): "),
            id="the nearest",
        ),
        pytest.param([row("w", spent_in=11)], None, id="far away"),
        pytest.param([row("w", spent_in=400)], None, id="it lasts for its window"),
        pytest.param([row("w", used=2.0, mode="warn")], None, id="a limit that only warns stops nobody"),
        pytest.param([row("w") | {"forecast": None}], None, id="no forecast yet"),
        pytest.param([], None, id="no limit"),
    ],
)
def test_the_nearest_wall(rows, wall):
    expected = wall and (wall[0], wall[1] + WHAT_TO_DO)
    assert nearest_wall(rows, WarnAt(), NOW) == expected


def hook(event: str) -> bytes:
    return json.dumps({"hook_event_name": event}).encode()


def test_a_warning_is_said_once_and_a_stop_leaves_one_step(tmp_path):
    folder, said = RunFolder(tmp_path), lambda event: words_for(hook(event), str(tmp_path))
    assert said("PostToolUse") == ""
    folder.warn("w:time", "seven minutes")
    assert json.loads(said("PostToolUse")) == {
        "systemMessage": "seven minutes",
        "hookSpecificOutput": {"hookEventName": "PostToolUse", "additionalContext": "seven minutes"},
    }
    assert said("PostToolUse") == ""
    folder.stop("it has ended")
    folder.warn("other", "too late")
    assert not folder.asked_to_stop
    assert json.loads(said("PostToolUse"))["systemMessage"] == "it has ended"
    assert folder.asked_to_stop
    assert said("UserPromptSubmit") == ""
    assert json.loads(said("PostToolUse")) == {"continue": False, "stopReason": "it has ended"}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"mark": 1}', b"\xff"])
def test_a_notice_that_is_torn_says_nothing(tmp_path, content):
    (tmp_path / "notice.json").write_bytes(content)
    assert words_for(hook("PostToolUse"), str(tmp_path)) == ""
