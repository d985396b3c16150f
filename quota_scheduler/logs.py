"""Logging: one line per outcome, an event name plus facts; as text for people or JSON lines for machines."""

import json
import logging
import re
import sys
from datetime import UTC, datetime

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What would break a line or reach a terminal: names of files and labels come from anybody."""


class TextLines(logging.Formatter):
    """One line per event; control characters are written out, and only a traceback takes more lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # the name is the library's
        """The line without a traceback."""
        return _CONTROLS.sub(lambda sign: sign[0].encode("unicode_escape").decode(), super().formatMessage(record))


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line; a traceback goes into ``error``."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up(form: str, *, verbose: bool = False) -> None:
    """Send the log to standard error as ``text`` or ``json``."""
    handler = logging.StreamHandler(sys.stderr)
    text = TextLines("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%S")
    handler.setFormatter(JsonLines() if form == "json" else text)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for noisy in ("uvicorn", "uvicorn.access", "uvicorn.error", "apscheduler", "asyncio", "apprise", "peewee", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
