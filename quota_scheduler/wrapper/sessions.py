"""What sessions had used before a run: remembered from the last run here, else as their own files say.

Claude Code writes its own total, ``cost-state``, at the end of a transcript; Codex its thread's with ``token_count``;
qwen-code writes each answer, those that a fork brought along too.
"""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from quota_scheduler.wrapper import figures
from quota_scheduler.wrapper.figures import ByModel

KEPT_SECONDS = 90 * 86_400
"""So long a session is remembered; agents delete their own after a month."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
FORKS = ("--fork-session", "fork")
CONTINUES = ("--continue", "-c", "--last")


class Sessions:
    """A folder with one small file a session."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder, self._environ = folder, environ

    def remember(self, totals: Mapping[str, ByModel]) -> None:
        """Keep what sessions have used since they began; where that cannot be, the next run asks their files."""
        for session, total in totals.items():
            if not _NAME.fullmatch(session):
                continue
            path = self._folder / f"{session}.json"
            beside = path.with_name(f"{path.name}.{os.getpid()}")
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                beside.write_text(json.dumps(total), encoding="utf-8")
                beside.replace(path)
                self._forget_old()
            except OSError:
                return

    def had_used(self, session: str) -> ByModel | None:
        """What a session has used since it began; None where nothing here knows it."""
        files = self.transcripts(session)
        return _of_claude(files) or _of_codex(files) or _of_qwen(files) or self.had_used_here(session)

    def had_used_here(self, session: str) -> ByModel | None:
        """What it had used by the end of the last run that this wrapper saw; None for none."""
        kept = _json(self._folder / f"{session}.json") if _NAME.fullmatch(session) else None
        return None if kept is None else {str(model): dict(one) for model, one in kept.items() if isinstance(one, dict)}

    def transcripts(self, session: str) -> list[Path]:
        """The files in which agents here tell of a session."""
        return [file for files in self.files(session).values() for file in files]

    def files(self, session: str) -> dict[str, list[Path]]:
        """The same by agent, as the service names it; agents without any are left out."""
        if not _NAME.fullmatch(session):
            return {}
        home = Path(self._environ.get("HOME", "/"))
        claude = Path(self._environ.get("CLAUDE_CONFIG_DIR") or home / ".claude") / "projects"
        codex = Path(self._environ.get("CODEX_HOME") or home / ".codex")
        gemini = home / ".gemini/tmp"
        places = {
            "claude_code": [*claude.glob(f"*/{session}.jsonl"), *claude.glob(f"*/{session}/subagents/*.jsonl")],
            "codex": list(codex.glob(f"sessions/*/*/*/*{session}.jsonl")),
            "qwen": list(home.glob(f".qwen/projects/*/chats/{session}.jsonl")),
            "gemini": [
                *gemini.glob(f"*/chats/session-*{session[:8]}.json*"), *gemini.glob(f"*/chats/{session}/*.jsonl"),
            ],
            "opencode": list(self._opencode(home) if session.startswith("ses_") else ()),
        }  # fmt: skip
        return {agent: files for agent, files in places.items() if files}

    def _opencode(self, home: Path) -> list[Path]:
        data = Path(self._environ.get("XDG_DATA_HOME") or home / ".local/share")
        return list(data.glob("opencode/opencode.db"))

    def _forget_old(self) -> None:
        ends = time.time() - KEPT_SECONDS
        for file in self._folder.iterdir():
            if file.stat().st_mtime < ends:
                file.unlink(missing_ok=True)


class Beginnings:
    """What the sessions of one run began with; ``command`` is that of the agent. Looks before the command starts."""

    def __init__(self, sessions: Sessions, command: Sequence[str], resumed: str) -> None:
        self._sessions = sessions
        self._resumed, self._forks = resumed, not set(FORKS).isdisjoint(command)
        self._goes_on = bool(resumed) or not set(CONTINUES).isdisjoint(command)
        self._before = sessions.had_used(resumed) if resumed else None
        self._of_session: dict[str, ByModel | None] = {}

    def of(self, session: str, total: ByModel) -> ByModel | None:
        """As ``UsageMeter.usage`` asks for it."""
        if self._resumed and (session == self._resumed or self._forks):
            began = self._before
        else:
            # a script may resume by itself: what was remembered of the session tells
            if session not in self._of_session:
                self._of_session[session] = self._sessions.had_used_here(session)
            began = self._of_session[session] or (None if self._goes_on else {})
        if began is not None and set(began) == {""}:
            began = dict.fromkeys(total, began[""])
        return began


def _of_claude(files: Sequence[Path]) -> ByModel | None:
    last = _last_with(files, b'"cost-state"')
    return figures.claude_models(last.get("modelUsage")) if last and last.get("type") == "cost-state" else None


def _of_codex(files: Sequence[Path]) -> ByModel | None:
    payload = (_last_with(files, b'"total_token_usage"') or {}).get("payload") or {}
    total = (payload.get("info") or {}).get("total_token_usage") if isinstance(payload, dict) else None
    return {"": figures.codex_usage(total)} if total else None


def _of_qwen(files: Sequence[Path]) -> ByModel | None:
    answers: dict[str, ByModel] = {}
    for record in _with(files, b'"qwen-code.api_response"'):
        payload = record.get("systemPayload")
        answer = payload.get("uiEvent") if isinstance(payload, dict) else None
        if isinstance(answer, dict):
            model = str(answer.get("model") or "")
            answers[str(answer.get("response_id"))] = {model: figures.qwen_answer(answer)}
    total: ByModel = {}
    for answered in answers.values():
        total = figures.added(total, answered)
    return total or None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _last_with(paths: Sequence[Path], mark: bytes) -> dict[str, Any] | None:
    """The last object in files that holds a mark."""
    last = None
    for record in _with(paths, mark):
        last = record
    return last


def _with(paths: Sequence[Path], mark: bytes) -> Iterator[dict[str, Any]]:
    """The objects in files whose lines hold a mark; what cannot be read is stepped over."""
    for path in paths:
        try:
            with path.open("rb") as file:
                lines = [line for line in file if mark in line]
        except OSError:
            continue
        for line in lines:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                yield record
