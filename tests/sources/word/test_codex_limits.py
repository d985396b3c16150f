"""Codex's limits, in all spellings, as its files really hold them and as they might."""

import json
import shutil
from pathlib import Path

import pytest

from quota_scheduler.core.observations.observation import Throttle
from quota_scheduler.sources import codex
from quota_scheduler.sources.agent_files import AgentFiles
from quota_scheduler.sources.calls import labeller
from quota_scheduler.sources.word.codex_limits import read_error, read_rate_limits
from tests.sources.word.reports import AT, LATER, SOON, TELLER, report

FIVE = {"used_percent": 13.5, "window_minutes": 300, "resets_at": SOON}
WEEK = {"used_percent": 44.25, "window_minutes": 10080, "resets_at": LATER}
SPENT = {**FIVE, "used_percent": 100.0}
IN_AN_HOUR = AT.timestamp() + 3600
CREDITS = ("monthly_spend", None, None, "rejected", "credits")


@pytest.mark.parametrize(
    ("limits", "reports"),
    [
        pytest.param(
            {"limit_id": "codex", "primary": FIVE, "secondary": WEEK, "credits": {"balance": "9"}, "plan_type": None},
            [report("five_hour", 0.135, SOON), report("weekly", 0.4425, LATER)],
            id="both windows",
        ),
        pytest.param({"primary": WEEK, "secondary": None}, [report("weekly", 0.4425, LATER)], id="a week as primary"),
        pytest.param({"primary": None, "secondary": None}, [], id="no headers: null windows"),
        pytest.param({"primary": {**FIVE, "resets_at": None}}, [report("five_hour", 0.135)], id="without a reset"),
        pytest.param(
            {"primary": {"used_percent": 7, "window_minutes": 299, "resets_in_seconds": 3600}},
            [report("five_hour", 0.07, IN_AN_HOUR)],
            id="2025: a minute less, and its end from the line's time on",
        ),
        pytest.param(
            {"primary_used_percent": 7, "primary_window_minutes": 299,
             "weekly_used_percent": 9, "weekly_window_minutes": 10079},
            [report("five_hour", 0.07), report("weekly", 0.09)],
            id="September 2025: flat",
        ),
        pytest.param(
            {"limit_id": "codex_bengalfox", "limit_name": "Spark", "primary": FIVE, "secondary": WEEK},
            [report("five_hour", 0.135, SOON, scope="codex_bengalfox"),
             report("weekly_model", 0.4425, LATER, scope="codex_bengalfox")],
            id="a family of models",
        ),
        pytest.param(
            {"primary": {**FIVE, "window_minutes": 43200}}, [report("monthly_spend", 0.135, SOON)], id="a month"
        ),
        pytest.param(
            {"primary": {**FIVE, "window_minutes": 60}, "secondary": WEEK},
            [report("weekly", 0.4425, LATER)],
            id="a length that nobody knows",
        ),
        pytest.param({"primary": {"used_percent": 5}}, [], id="a window that does not say how long it is"),
        pytest.param(
            {"primary": SPENT, "secondary": WEEK, "rate_limit_reached_type": "rate_limit_reached"},
            [report("five_hour", 1, SOON, "rejected"), report("weekly", 0.4425, LATER)],
            id="the full window is the one that was reached",
        ),
        pytest.param({"primary": SPENT}, [report("five_hour", 1, SOON)], id="full, and not yet refused"),
        pytest.param(
            {"primary": FIVE, "rate_limit_reached_type": "workspace_owner_credits_depleted"},
            [report("five_hour", 0.135, SOON), report(*CREDITS)],
            id="the workspace's money",
        ),
        pytest.param(
            {"individual_limit": {"limit": "50", "used": "45", "remaining_percent": 10, "resets_at": LATER}},
            [report("monthly_spend", pytest.approx(0.9), LATER, scope="individual")],
            id="what one member may spend",
        ),
        pytest.param(
            {"spend_control_reached": True, "individual_limit": {"remaining_percent": 0, "resets_at": LATER}},
            [report("monthly_spend", 1, LATER, "rejected", "individual")],
            id="and has spent",
        ),
        pytest.param(
            {"rateLimits": {"primary": {"usedPercent": 32, "windowDurationMins": 300, "resetsAt": SOON}}},
            [report("five_hour", 0.32, SOON)],
            id="the app-server",
        ),
        pytest.param(
            {"rateLimits": {"limitId": "codex", "primary": None},
             "rateLimitsByLimitId": {"codex": {"primary": {"usedPercent": 32, "windowDurationMins": 300}},
                                     "codex_bengalfox": {"primary": {"usedPercent": 81, "windowDurationMins": 300}}}},
            [report("five_hour", 0.32), report("five_hour", 0.81, scope="codex_bengalfox")],
            id="the app-server, all families",
        ),
        pytest.param(
            {"rate_limit": {"primary_window": {"used_percent": 9, "limit_window_seconds": 18000, "reset_at": SOON}}},
            [report("five_hour", 0.09, SOON)],
            id="the backend behind it",
        ),
        pytest.param({"primary": {**FIVE, "used_percent": -1}, "secondary": WEEK},
                     [report("five_hour", None, SOON), report("weekly", 0.4425, LATER)], id="below 0"),
        pytest.param([1], [], id="another shape"),
        pytest.param(None, [], id="nothing"),
    ],
)  # fmt: skip
def test_what_limits_say(limits, reports):
    assert read_rate_limits(limits, TELLER).observations == reports


def test_keys_that_nobody_knows_are_named():
    word = read_rate_limits({"primary": {**FIVE, "burst": 1}, "tier": 2}, TELLER)
    assert word.unknown == ["rate_limits.tier", "rate_limits.primary.burst"]


@pytest.mark.parametrize(
    ("message", "info", "reports", "throttles"),
    [
        pytest.param(
            "exceeded retry limit, last status: 429 Too Many Requests",
            {"response_too_many_failed_attempts": {"http_status_code": 429}},
            [], 1, id="a 429 that went on",
        ),
        pytest.param(
            "You\u2019ve hit your usage limit. Try again in 2 hours.", "usage_limit_exceeded",
            [report("five_hour", None, AT.timestamp() + 7200, "rejected")], 0, id="a spent plan",
        ),
        pytest.param("Incomplete response returned", "other", [], 0, id="something else"),
        pytest.param(None, {"http_connection_failed": {"http_status_code": None}}, [], 0, id="a connection that broke"),
    ],
)  # fmt: skip
def test_why_a_turn_failed(message, info, reports, throttles):
    word = read_error(message, info, TELLER)
    assert (word.observations, len(word.throttles)) == (reports, throttles)


HEAD = {"type": "session_meta", "payload": {"id": "T", "cwd": "/srv/app", "history_mode": "paginated"}}


def rollout(*payloads) -> bytes:
    """Lines a second apart."""
    lines = [HEAD, *({"type": "event_msg", "payload": payload} for payload in payloads)]
    stamped = [{"timestamp": f"2026-10-02T15:06:{second:02}Z", **line} for second, line in enumerate(lines, 18)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in stamped)


def count(**limits) -> dict:
    return {"type": "token_count", "info": None, "rate_limits": {"limit_id": "codex", **limits}}


USAGE_LIMIT = {
    "message": "You've hit your usage limit. Try again in 2 hours.",
    "codex_error_info": "usage_limit_exceeded",
}


@pytest.fixture
def home(tmp_path):
    (tmp_path / "sessions").mkdir()
    return tmp_path


def scan(home: Path, *, known=None):
    label = labeller(agent="codex", account="team", accounts={home / "sessions": "chatgpt-team"})
    (batch,) = AgentFiles("codex", [home / "sessions"], codex.CodexReader, label).scan(known or {})
    return batch


def theirs(*args, second=19, **more):
    at = AT.replace(second=second)
    return report(*args, provider="openai", account="chatgpt-team", source="codex", observed_at=at, **more)


def test_a_rollout_tells_what_is_left_when_it_changes(home):
    lines = rollout(count(primary=FIVE), count(primary=FIVE), count(primary=SPENT), count(primary=None))
    (home / "sessions" / "a.jsonl").write_bytes(lines)
    assert scan(home).observations == (theirs("five_hour", 0.135, SOON), theirs("five_hour", 1, SOON, second=21))


def test_figures_of_a_spent_plan_are_better_than_its_sentence(home):
    figures = count(primary=SPENT, rate_limit_reached_type="rate_limit_reached")
    (home / "sessions" / "a.jsonl").write_bytes(rollout(figures, {"type": "task_complete", "error": USAGE_LIMIT}))
    (home / "sessions" / "b.jsonl").write_bytes(rollout({"type": "task_complete", "error": USAGE_LIMIT}))
    in_two_hours = AT.timestamp() + 7200
    assert set(scan(home).observations) == {
        theirs("five_hour", 1, SOON, "rejected"),
        theirs("five_hour", None, in_two_hours, "rejected"),
    }


def test_what_was_told_before_a_restart_is_not_told_again(home):
    file = home / "sessions" / "a.jsonl"
    refused = {"type": "task_complete", "error": {"codex_error_info": {"x": {"http_status_code": 429}}}}
    file.write_bytes(rollout(refused))
    first = scan(home)
    file.write_bytes(rollout(refused, count(primary=FIVE)))
    second = scan(home, known={state.path: state for state in first.files})
    moment = Throttle("openai", "chatgpt-team", AT, "codex")
    assert (first.throttles, second.throttles) == ((moment,), ())
    assert second.observations == (theirs("five_hour", 0.135, SOON, second=20),)


def test_limits_that_are_garbled_take_no_usage_with_them(home):
    usage = {"input_tokens": 10, "output_tokens": 5}
    garbled = {"type": "token_count", "info": {"total_token_usage": usage, "last_token_usage": usage}, "rate_limits": 7}
    head = json.dumps({**HEAD, "payload": {"id": "T"}, "timestamp": "2026-10-02T15:06:18Z"}).encode()
    (home / "sessions" / "a.jsonl").write_bytes(head + b"\n" + rollout(garbled).split(b"\n", 1)[1])
    batch = scan(home)
    assert (len(batch.events), batch.observations, batch.errors) == (1, (), 0)


REAL = Path(__file__).parents[2] / "data" / "agents" / "codex"


def test_what_codex_really_wrote_is_read(tmp_path):
    """0.171: a spent plan, a plain 429, a family beside the general limit, and a week as primary."""
    home = shutil.copytree(REAL, tmp_path / "home")
    observations, throttles = [], []
    for batch in AgentFiles("codex", [home / "sessions"], codex.CodexReader, labeller(agent="codex")).scan({}):
        observations += batch.observations
        throttles += batch.throttles
    kinds = {(str(r.window), r.scope, str(r.standing)) for r in observations}
    expected = {
        ("five_hour", "", ""),
        ("five_hour", "", "rejected"),
        ("five_hour", "codex_bengalfox", ""),
        ("weekly", "", ""),
    }
    assert (kinds, len(throttles)) == (expected, 1)
