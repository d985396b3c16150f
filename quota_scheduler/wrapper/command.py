"""The command: where it lies, which agent it is, and what is added to its arguments for this one run.

Nothing of the user's own files is touched: Claude Code takes ``--settings`` for one run, and what a command line gives
there already is kept.
"""

import itertools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from quota_scheduler.wrapper.statuses import NOT_EXECUTABLE, NOT_THERE

AUTO_CONTINUE = "autoContinueAtUsageLimit"
"""Claude Code's own "continue automatically at usage limit": on by default, and would run the work a second time."""
EVENTS = ("SessionStart", "UserPromptSubmit", "PostToolUse")
"""Hooks that may put words into a live session."""
SETTINGS = "QUOTA_CLAUDE_SETTINGS"
"""The same settings for scripts that start ``claude`` themselves: ``claude --settings "$QUOTA_CLAUDE_SETTINGS"``."""
AGENTS = ("claude", "codex", "gemini", "opencode", "qwen")
MODEL_FLAGS = ("-m", "--model")
PRINT_FLAGS = frozenset({"-p", "--print"})
SESSION_FLAGS = frozenset({"-r", "--resume", "-c", "--continue", "--session-id", "--fork-session", "--from-pr"})
MACHINE_READABLE = frozenset({"json", "stream-json", "--json", "--experimental-json"})
"""Words on a command line that ask an agent for output that programs read."""


class NoCommand(Exception):
    """There is nothing to run: a sentence, and the exit ``status`` that shells use."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def program_of(command: Sequence[str], search: str) -> str:
    """The path of the program, looked for in the folders of ``search`` as PATH has them. Raises NoCommand."""
    name = command[0]
    places = [name] if os.sep in name else [os.path.join(folder or ".", name) for folder in search.split(os.pathsep)]
    there = [place for place in places if os.path.isfile(place)]
    for place in there:
        if os.access(place, os.X_OK):
            return place
    if there or (os.path.isdir(name) and os.sep in name):
        raise NoCommand(f"{name} may not be run: make it executable, or name its interpreter", NOT_EXECUTABLE)
    raise NoCommand(f"there is no command {name}: write its path, or put its folder on PATH", NOT_THERE)


def agent_of(command: Sequence[str]) -> str:
    """Which agent a command is by its name: one of ``AGENTS``, else empty."""
    name = os.path.basename(command[0]).partition(".")[0]
    return name if name in AGENTS else ""


def model_of(command: Sequence[str]) -> str:
    """The model that a command line names, without the provider before it; empty for none."""
    named = ""
    for word, following in itertools.pairwise([*command, ""]):
        if word in MODEL_FLAGS:
            named = following
        elif word.startswith("--model="):
            named = word.partition("=")[2]
    return named.rpartition("/")[2]


def is_for_programs(command: Sequence[str]) -> bool:
    """Whether a command line asks for output that programs read."""
    words = [word.rpartition("=")[2] if word.startswith("--") else word for word in command[1:]]
    return not MACHINE_READABLE.isdisjoint(words)


def resuming(command: Sequence[str], session: str) -> list[str]:
    """The command so that it goes on with a session; one that is no agent finds it in QUOTA_SESSION."""
    first, *others = command
    match agent_of(command):
        case _ if not session or session in others:
            return list(command)
        case "claude" | "gemini" | "qwen":
            return [first, "--resume", session, *others]
        case "codex" if "exec" in others:
            at = others.index("exec") + 1
            return [first, *others[:at], "resume", session, *others[at:]]
        case "opencode" if others[:1] == ["run"]:
            return [first, "run", "--session", session, *others[1:]]
    return list(command)


def resumed_session(command: Sequence[str]) -> str:
    """The session that a command line goes on with; empty where it names none."""
    words = [*command[1:], ""]
    for word, following in itertools.pairwise(words):
        if word in ("--resume", "-r", "resume", "fork", "--session", "-s", "--session-id") and not following.startswith(
            "-"
        ):
            return following
        if word.startswith(("--resume=", "--session=", "--session-id=")):
            return word.partition("=")[2]
    return ""


def with_session(command: Sequence[str]) -> tuple[list[str], str]:
    """The command of Claude Code with a session of a name that is known before it begins, and that name.

    So its transcript is this run's also where its output tells nothing of it. A session that it names itself stays.
    """
    first, *others = command
    names_one = any(word.partition("=")[0] in SESSION_FLAGS for word in others)
    if agent_of(command) != "claude" or names_one or PRINT_FLAGS.isdisjoint(others):
        return list(command), ""
    one = os.urandom(16).hex()  # a random UUID; the library for that takes longer to load
    session = f"{one[:8]}-{one[8:12]}-4{one[13:16]}-a{one[17:20]}-{one[20:]}"
    return [first, "--session-id", session, *others], session


def hook_settings() -> dict[str, Any]:
    """Settings for one run of Claude Code: hooks that may warn it, and no second run by itself after the reset."""
    hear = " ".join(_quoted(word) for word in (sys.executable, "-P", "-m", "quota_scheduler", "hook"))
    hooks = {event: [{"hooks": [{"type": "command", "command": hear, "timeout": 10}]}] for event in EVENTS}
    return {AUTO_CONTINUE: False, "hooks": hooks}


def with_settings(command: Sequence[str], settings: Mapping[str, Any]) -> tuple[list[str], str]:
    """The command of Claude Code with settings beside those it names, and a sentence where they cannot be read."""
    first, *others = command
    place = next((at for at, word in enumerate(others) if word == "--settings" or word.startswith("--settings=")), None)
    if place is None:
        return [first, "--settings", json.dumps(settings), *others], ""
    word = others[place]
    joined = word.startswith("--settings=")
    given = word.partition("=")[2] if joined else (others[place + 1] if place + 1 < len(others) else "")
    try:
        theirs = json.loads(given) if given.lstrip().startswith("{") else _file(given)
    except (OSError, ValueError):
        return list(command), f"--settings {given[:60]} cannot be read: the agent is not warned of the quota"
    merged = json.dumps(_merged(theirs, settings))
    after = others[place + 1 :] if joined else others[place + 2 :]
    return [first, *others[:place], "--settings", merged, *after], ""


def _file(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    if not isinstance(content, dict):
        raise ValueError("no object")
    return content


def _merged(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Both; hooks of an event stand beside each other, and ours rule where only one can."""
    hooks = dict(theirs.get("hooks") or {})
    for event, entries in ours["hooks"].items():
        hooks[event] = [*(hooks.get(event) or []), *entries]
    return {**theirs, **ours, "hooks": hooks}


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
