"""The log: one line per event, whatever a file or a label is called."""

import io
import json
import logging

import pytest

from quota_scheduler.logs import JsonLines, TextLines


@pytest.mark.parametrize(
    ("formatter", "line"),
    [
        pytest.param(TextLines("%(levelname)s %(message)s"), r"WARNING file=a\nINFO b\x1b[31m\u2028", id="as text"),
        pytest.param(JsonLines(), None, id="as JSON"),
    ],
)
def test_R18_a_name_with_control_characters_is_one_line_that_no_terminal_obeys(formatter, line):
    name = "a\nINFO b\x1b[31m\u2028"
    record = logging.LogRecord("q", logging.WARNING, "q.py", 1, "file=%s", (name,), None)
    text = formatter.format(record)
    assert "\n" not in text
    assert "\x1b" not in text
    assert text == line if line else json.loads(text)["event"] == f"file={name}"


def test_a_traceback_stays_readable():
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(TextLines("%(message)s"))
    logger = logging.Logger("q")
    logger.addHandler(handler)
    try:
        raise ValueError("as it happens")
    except ValueError:
        logger.exception("it failed")
    assert written.getvalue().splitlines()[:2] == ["it failed", "Traceback (most recent call last):"]
