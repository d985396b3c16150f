"""Logging: one line per outcome, an event name plus facts; as text for people or JSON lines for machines."""

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What would break a line or reach a terminal: names of files and labels come from anybody."""

_PLACE = re.compile(r"(?:\b(?P<name>[a-z_]+)=(?P<letter>t)?)?%(?:[-+ 0#]*[0-9]*(?:\.[0-9]+)?)(?P<kind>[a-z%])")
"""A place in the text of an event that a value fills, and the name in front of it; the letter is of tickets' ids."""
NUMBERS = "dfg"
"""How numbers are written."""


class TextLines(logging.Formatter):
    """One line per event; control characters are written out, and only a traceback takes more lines."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # the name is the library's
        """The second."""
        del datefmt
        return _second(int(record.created))

    def formatMessage(self, record: logging.LogRecord) -> str:  # the name is the library's
        """The line without a traceback."""
        return _CONTROLS.sub(lambda sign: sign[0].encode("unicode_escape").decode(), super().formatMessage(record))


class JsonLines(logging.Formatter):
    """One JSON object per line: the name of the event, each of its fields, and the line as text has it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line; a traceback goes into ``traceback``."""
        message = record.getMessage()
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": message.partition(" ")[0],
            **fields_of(record),
            "message": message,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What an event says, by the names that its text gives: numbers where it writes numbers, else text."""
    given = record.args if isinstance(record.args, tuple) else ()
    places = _places(str(record.msg))
    if len(places) != len(given):
        return {}
    return {
        name: f"{letter}{value}" if letter else _plain(value, kind)
        for (name, letter, kind), value in zip(places, given, strict=True)
        if name
    }


@lru_cache(maxsize=512)
def _places(text: str) -> tuple[tuple[str, str, str], ...]:
    """Name, letter and kind of each place of an event's text: there are as many texts as events."""
    places = (found.group("name", "letter", "kind") for found in _PLACE.finditer(text))
    return tuple((name or "", letter or "", kind) for name, letter, kind in places if kind != "%")


@lru_cache(maxsize=2)
def _second(at: int) -> str:
    """A second as text has it, in this machine's zone: many lines share one."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at))


def _plain(value: object, kind: str) -> object:
    """A value as JSON has it: a number where the text writes one, else what the text says."""
    return value if kind in NUMBERS and isinstance(value, int | float) else f"%{kind}" % (value,)


def set_up(form: str, *, verbose: bool = False) -> None:
    """Send the log to standard error as ``text`` or ``json``."""
    # What no line shows is not looked for: a line is written for each ticket that starts or ends.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    text = TextLines("%(asctime)s %(levelname)-7s %(message)s")
    handler.setFormatter(JsonLines() if form == "json" else text)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for noisy in ("uvicorn", "uvicorn.access", "uvicorn.error", "apscheduler", "asyncio", "apprise", "peewee", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
