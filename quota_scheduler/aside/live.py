"""What ``run`` has to say to the agent that it started: the hook puts it into the live session, each thing once.

A warning is context for the model. When the quota has ended the first event says so and leaves the agent one more step,
in which it may write down where it is; after that step it is stopped.
"""

from __future__ import annotations

import json
import os

FOLDER = "QUOTA_RUN_FOLDER"


def words_for(said: bytes, folder: str) -> str:
    """The hook's output as JSON; empty where there is nothing to say."""
    try:
        with open(os.path.join(folder, "notice.json"), "rb") as file:
            notice = json.load(file)
        event = str(json.loads(said).get("hook_event_name") or "")
        mark, text, stop = str(notice["mark"]), str(notice["text"]), bool(notice["stop"])
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return ""
    if _first(folder, f"said-{mark.replace(os.sep, '_')}"):
        if stop:
            _first(folder, "asked-to-stop")
        context = {"hookEventName": event, "additionalContext": text}
        return json.dumps({"systemMessage": text, "hookSpecificOutput": context})
    if stop and event == "PostToolUse":
        return json.dumps({"continue": False, "stopReason": text})
    return ""


def _first(folder: str, mark: str) -> bool:
    """Whether nobody has left this mark before."""
    try:
        os.close(os.open(os.path.join(folder, mark[:200]), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError:
        return False
    return True
