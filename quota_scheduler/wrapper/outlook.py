"""How far the wall is, and who is told: the agent in its live session, and the operator.

    service ──GET /v1/limits──► nearest wall ──► notice.json in a folder of this run ──► hook ──► the session

By time, as the forecast says when a limit of this lease is spent, and by percent. The hook reads one small file and
asks nobody, so it costs an agent nothing.
"""

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quota_scheduler.client.answers import instant_in
from quota_scheduler.client.errors import QuotaError
from quota_scheduler.client.transport import Transport

LOOK_SECONDS = 20.0
"""How often the limits are looked at while the command runs."""
NOTICE, STOP = "notice.json", "stop"
ASKED = "asked-to-stop"
"""The hook leaves this when it has told the agent to stop."""
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class WarnAt:
    """When an agent is warned: so many minutes before the wall, or at so large a share of the limit."""

    minutes: float = 10.0
    ratio: float = 0.95


class RunFolder:
    """What a run and its hook tell each other; deleted with the run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def warn(self, mark: str, text: str) -> None:
        """Have this said in the live session, once for each ``mark``."""
        self._write({"mark": mark, "text": text, "stop": False})

    def stop(self, text: str) -> None:
        """Have the agent finish its step; scripts look for the file ``stop``."""
        self._write({"mark": "stop", "text": text, "stop": True})
        (self.path / STOP).write_text(text + "\n", encoding="utf-8")

    @property
    def asked_to_stop(self) -> bool:
        """Whether the agent has been told."""
        return (self.path / ASKED).exists()

    def _write(self, notice: Mapping[str, Any]) -> None:
        if (self.path / STOP).exists():
            return
        beside = self.path / f"{NOTICE}.{os.getpid()}.{threading.get_ident()}"
        beside.write_text(json.dumps(notice), encoding="utf-8")
        beside.replace(self.path / NOTICE)


class WallWatch:
    """Looks ahead in the background for as long as the command runs."""

    def __init__(
        self,
        transport: Transport,
        limits: frozenset[str],
        folder: RunFolder,
        thresholds: WarnAt,
        say: Callable[[str], None],
    ) -> None:
        self._transport, self._limits, self._folder = transport, limits, folder
        self._thresholds, self._say = thresholds, say
        self._over = threading.Event()
        self._warned: set[str] = set()

    def start(self) -> None:
        """Begin to look."""
        if self._limits:
            threading.Thread(target=self._look_on, daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._over.set()

    def _look_on(self) -> None:
        while not self._over.wait(0.0):
            try:
                rows = self._transport.ask("GET", "/v1/limits", patience=0.0)["limits"]
            except (QuotaError, KeyError, TypeError):
                rows = []
            near = nearest_wall([row for row in rows if row.get("limit") in self._limits], self._thresholds)
            if near and near[0] not in self._warned:
                self._warned.add(near[0])
                self._folder.warn(*near)
                self._say(f"the agent is warned: {near[1]}")
            self._over.wait(LOOK_SECONDS)


def nearest_wall(
    rows: list[Mapping[str, Any]], thresholds: WarnAt, now: datetime | None = None
) -> tuple[str, str] | None:
    """A mark and a sentence about the limit that ends soonest; None where none is near."""
    now = now or datetime.now(UTC)
    walls = []
    for row in rows:
        ends, used = _minutes_to(row, now), float(row.get("usage_ratio") or 0.0)
        if row.get("mode", "enforce") != "enforce":
            continue
        if ends is not None and ends <= thresholds.minutes:
            walls.append((ends, f"{row['limit']}:time", _by_time(row, ends, used)))
        elif used >= thresholds.ratio:
            left = f"{used:.0%} of {row['limit']} is used"
            walls.append((float("inf"), f"{row['limit']}:ratio", f"{left}: {WHAT_TO_DO}"))
    return min(walls)[1:] if walls else None


WHAT_TO_DO = "finish this step and write down where you are, so that the work can go on after the reset."


def _minutes_to(row: Mapping[str, Any], now: datetime) -> float | None:
    """Minutes until a limit is spent, by its forecast; None where it lasts for its window."""
    at = instant_in((row.get("forecast") or {}).get("exhaustion_at"))
    ends = instant_in(row.get("ends_at"))
    if at is None or (ends is not None and at >= ends):
        return None
    return max(0.0, (at - now).total_seconds() / 60)


def _by_time(row: Mapping[str, Any], minutes: float, used: float) -> str:
    whole = round(minutes)
    said = NUMBERS[whole] if whole < len(NUMBERS) else str(whole)
    unit = "minute" if whole == 1 else "minutes"
    return f"{said} {unit} to the wall ({row['limit']}, {used:.0%} used): {WHAT_TO_DO}"
