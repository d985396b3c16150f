"""``statusline``: hears what a status line is told, and draws the line that was there before, or a short one.

The line never waits for the service: the command that draws it takes this process over at once, with the same input.
"""

from __future__ import annotations

import os
import sys

from quota_scheduler.aside.begin import MOST_BYTES, Options, in_background, standard_input, state_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NAMES = (("five_hour", "5h"), ("seven_day", "week"))
DAY = 86_400
RECENT = 120.0
"""What the service said about its queue is shown for so many seconds."""


def run(options: Options, environ: Mapping[str, str]) -> int:
    """Hear a status line's input in the background, and draw the line; returns the exit code where it is our own."""
    said = standard_input()
    command = _command(options)
    if 0 < len(said) <= MOST_BYTES:
        in_background(lambda: _tell(said, options, environ), we_stay=bool(command))
    if command:
        _become(command, said)
    _draw(said, environ)
    return 0


def _tell(said: bytes, options: Options, environ: Mapping[str, str]) -> None:
    from quota_scheduler.aside.teller import Messenger

    Messenger(options, environ).status_line(said)


def _draw(said: bytes, environ: Mapping[str, str]) -> None:
    import time

    from quota_scheduler.aside.memory import Kept

    print(own_line(said, Kept(state_folder(environ)).queue(), time.time()))


def _command(options: Options) -> tuple[str, ...]:
    return ("/bin/sh", "-c", options.then) if options.then else options.command


def _become(command: tuple[str, ...], said: bytes) -> None:
    """Turn this process into the command, with what was said on its standard input; ends with 127 where it cannot."""
    try:
        source = os.memfd_create("said") if hasattr(os, "memfd_create") else _unnamed_file()
        _write_all(source, said)
        os.lseek(source, 0, os.SEEK_SET)
        os.dup2(source, 0)
        os.close(source)
        os.execvp(command[0], command)
    except OSError as error:
        print(f"quota-scheduler: cannot run {command[0]}: {error.strerror}; name a program after --", file=sys.stderr)
        sys.exit(127)


def _unnamed_file() -> int:
    import tempfile

    number, path = tempfile.mkstemp()
    os.unlink(path)
    return number


def _write_all(number: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(number, view) :]


def own_line(said: bytes, queue: tuple[int, float], now: float) -> str:
    """A short line: how much of both windows is used and when they reset, and how many tickets wait.

    ``queue`` is how many waited, and when that was said, in seconds since 1970 as ``now``.
    """
    import json

    try:
        told = json.loads(said)
    except ValueError:
        return ""
    told = told if isinstance(told, dict) else {}
    parts = [part for key, name in NAMES if (part := _window(_dict(told, "rate_limits").get(key), name, now))]
    parts = parts or [part for part in (_model(told), _cost(told)) if part]
    waiting, heard_at = queue
    if waiting and 0 <= now - heard_at <= RECENT:
        parts.append(f"{waiting} waiting")
    return " · ".join(parts)


def _window(said: Any, name: str, now: float) -> str:
    if not isinstance(said, dict) or not isinstance(used := said.get("used_percentage"), int | float):
        return ""
    import time

    resets = said.get("resets_at")
    if not isinstance(resets, int | float) or not now < resets < now + 62 * DAY:
        return f"{name} {used:.0f}%"
    return (
        f"{name} {used:.0f}% → {time.strftime('%H:%M' if resets - now < DAY else '%a %H:%M', time.localtime(resets))}"
    )


def _model(told: dict[str, Any]) -> str:
    name = _dict(told, "model").get("display_name")
    return "".join(sign for sign in name if sign.isprintable()) if isinstance(name, str) else ""


def _cost(told: dict[str, Any]) -> str:
    cost = _dict(told, "cost").get("total_cost_usd")
    return f"${cost:.2f}" if isinstance(cost, int | float) else ""


def _dict(told: dict[str, Any], key: str) -> dict[str, Any]:
    inner = told.get(key)
    return inner if isinstance(inner, dict) else {}
