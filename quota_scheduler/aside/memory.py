"""What one of these verbs leaves for the next: reports that could not be sent, the last one that was, and who waits.

One small file of its own, replaced whole; without it nothing but that is lost.
"""

import json
import os
from typing import Any

MOST_UNSENT = 50
"""Reports that are kept: the newest about each window."""
NAME = "aside.json"
Report = dict[str, Any]


class Kept:
    """The file ``aside.json`` in a folder."""

    def __init__(self, folder: str) -> None:
        self._folder, self._path = folder, os.path.join(folder, NAME)

    def _read(self) -> dict[str, Any]:
        try:
            with open(self._path, "rb") as file:
                content = json.load(file)
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self, **changes: Any) -> None:
        """Replace the file whole; where that cannot be, nothing is remembered."""
        beside = f"{self._path}.{os.getpid()}"
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump({**self._read(), **changes}, file)
            os.replace(beside, self._path)
        except OSError:
            return

    def queue(self) -> tuple[int, float]:
        """How many tickets waited, and when that was said, in seconds since 1970."""
        kept = self._read()
        waiting, at = kept.get("waiting"), kept.get("heard_at")
        if not isinstance(waiting, int) or not isinstance(at, int | float):
            return 0, 0.0
        return waiting, float(at)

    def unsent(self) -> list[Report]:
        """Reports that could not be sent, oldest first."""
        kept = self._read().get("unsent")
        return [report for report in kept if isinstance(report, dict)] if isinstance(kept, list) else []

    def was_just_sent(self, words: str, now: float, within: float) -> bool:
        """Whether just this was sent a moment ago."""
        kept = self._read()
        at = kept.get("sent_at")
        return kept.get("sent") == words and isinstance(at, int | float) and 0 <= now - at < within

    def keep(self, reports: list[Report]) -> None:
        """Keep reports for the next time: the newest about each window, and each refusal that is not old by then."""
        newest: dict[tuple[Any, ...], Report] = {}
        for report in reports:
            key = tuple(report.get(name) for name in ("provider", "account", "folder", "window", "scope"))
            newest.pop(key, None)
            newest[key] = report
        self._write(unsent=list(newest.values())[-MOST_UNSENT:])

    def sent(self, words: str, now: float, waiting: object) -> None:
        """Everything was sent."""
        self._write(unsent=[], sent=words, sent_at=now, waiting=waiting, heard_at=now)
