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
    assert text == line if line else json.loads(text)["file"] == name


@pytest.mark.parametrize(
    ("text", "values", "event", "fields"),
    [
        pytest.param("tls.reloaded", (), "tls.reloaded", {}, id="no field"),
        pytest.param(
            "config.reloaded limits=%d tokens=%d", (3, 1), "config.reloaded", {"limits": 3, "tokens": 1}, id="numbers"
        ),
        pytest.param("clock.stepped seconds=%+.0f", (-3600.2,), "clock.stepped", {"seconds": -3600.2}, id="a fraction"),
        pytest.param(
            "ticket.started ticket=t%d key=%s",
            (42, "a b"),
            "ticket.started",
            {"ticket": "t42", "key": "a b"},
            id="an id",
        ),
        pytest.param("x.y error=%r", (ValueError("no"),), "x.y", {"error": "ValueError('no')"}, id="as Python has it"),
        pytest.param("x.y error=%s: way out", (ValueError("no"),), "x.y", {"error": "no"}, id="words behind a field"),
        pytest.param("x.y issue=%s#%d", ("a/b", 7), "x.y", {"issue": "a/b"}, id="a place without a name"),
    ],
)
def test_a_field_of_an_event_is_a_field_of_its_line(text, values, event, fields):
    record = logging.LogRecord("q", logging.INFO, "q.py", 1, text, values, None)
    line = json.loads(JsonLines().format(record))
    message = text % values if values else text
    assert line == {"at": line["at"], "level": "info", "logger": "q", "event": event, "message": message, **fields}


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
