"""Transcripts as Claude Code writes them: three weeks of history, and what runs write while one looks."""

import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from quota_scheduler.demo.world import HISTORY, MODEL, RUNNERS, SESSION_TOKENS, USUAL_SHARE

VERSION = "2.1.332"
MIX = {"input_tokens": 0.01, "cache_read_input_tokens": 0.90, "cache_creation_input_tokens": 0.06}
"""Share of each kind of tokens in a call; what is left is output. Agents mostly read their cache."""
CALLS_AN_HOUR = 2
"""Lines that an hour of history is told in, for each workflow: forecasts look at hours."""
NOISE = 0.25
"""Standard deviation of an hour of history, as a share of it."""


def call(session: str, cwd: str, at: datetime, tokens: int) -> bytes:
    """The line of one answered call."""
    used = {kind: round(tokens * share) for kind, share in MIX.items()}
    written = used["cache_creation_input_tokens"]
    usage = {
        **used, "output_tokens": tokens - sum(used.values()), "service_tier": "standard",
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
    }  # fmt: skip
    name = uuid.uuid4().hex
    message = {
        "id": f"msg_{name}", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "Done."}], "usage": usage,
    }  # fmt: skip
    line: dict[str, Any] = {
        "type": "assistant", "uuid": str(uuid.uuid4()), "timestamp": _stamp(at), "sessionId": session, "cwd": cwd,
        "version": VERSION, "gitBranch": "main", "entrypoint": "sdk-cli", "isSidechain": False,
        "requestId": f"req_{name}", "message": message,
    }  # fmt: skip
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def path_of(root: Path, session: str, cwd: str) -> Path:
    """Where a session's transcript lies."""
    return root / "projects" / cwd.replace("/", "-") / f"{session}.jsonl"


def append(root: Path, session: str, cwd: str, tokens: int) -> None:
    """Write one call that was answered just now."""
    path = path_of(root, session, cwd)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(call(session, cwd, datetime.now(UTC), tokens))


def write_history(root: Path, now: datetime, window: timedelta, *, seed: int = 1) -> int:
    """Write what these workflows would have used in the three weeks before ``now``; returns the tokens."""
    chance, total = random.Random(seed), 0
    windows = timedelta(hours=1) / window
    for workflow, cwd in {runner.workflow: runner.folder for runner in RUNNERS}.items():
        usual = SESSION_TOKENS * USUAL_SHARE[workflow] * windows
        at = (now - HISTORY).replace(minute=0, second=0, microsecond=0)
        while at < now:
            session, lines = str(uuid.UUID(int=chance.getrandbits(128), version=4)), []
            until = min(now, at + timedelta(days=1))
            while at < until:
                hour = usual * max(0.2, chance.gauss(1, NOISE))
                for n in range(CALLS_AN_HOUR):
                    moment = at + timedelta(hours=(n + 0.5) / CALLS_AN_HOUR)
                    if moment < now - window:
                        tokens = round(hour / CALLS_AN_HOUR)
                        lines.append(call(session, cwd, moment, tokens))
                        total += tokens
                at += timedelta(hours=1)
            path = path_of(root, session, cwd)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(lines))
    return total


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
