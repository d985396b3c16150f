"""What a page shows is held against what its command printed: what may differ, and what may not."""

import pytest

from tests.docs.command_blocks import ROOT, Block, compare


def shows(text: str, printed: str, language: str = "text") -> bool:
    """Whether a block passes beside what was printed."""
    try:
        compare(Block(ROOT / "README.md", 1, language, text, "prints"), printed)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("shown", "printed", "passes"),
    [
        pytest.param("a  b", "a b\n", True, id="blanks are one"),
        pytest.param("2 wait", "3 wait", False, id="another figure"),
        pytest.param("a\n…", "a\nb\nc", True, id="a line of … stands for any lines"),
        pytest.param("a\n…\nd", "a\nb\nc", False, id="what follows them must be there"),
        pytest.param("used …", "used 40 %", True, id="… within a line"),
        pytest.param("until Sat 28 Nov 14:56 UTC", "until Mon 01 Jan 09:00 UTC", True, id="another instant"),
        pytest.param("until Sat 28 Nov 14:56 UTC", "until unknown", False, id="no instant where one is shown"),
        pytest.param("at 2026-11-28T14:56:55.017Z: 0", "at 2027-01-01T00:00:00Z: 0", True, id="another exact one"),
        pytest.param("at 2026-11-28T14:56:55.017Z: 0", "at 2027-01-01T00:00:00Z: 1", False, id="and what is behind it"),
    ],
)
def test_text(shown, printed, passes):
    assert shows(shown, printed) is passes


@pytest.mark.parametrize(
    ("shown", "printed", "passes"),
    [
        pytest.param('{"a": 1}', '{"a": 1, "b": 2}', True, id="more may be there"),
        pytest.param('{"a": 1, "c": 2}', '{"a": 1}', False, id="what is shown must be"),
        pytest.param('{"a": {"b": "l…"}}', '{"a": {"b": "l17"}}', True, id="any id"),
        pytest.param('{"a": null}', '{"a": 1}', False, id="null is null"),
    ],
)
def test_json(shown, printed, passes):
    assert shows(shown, printed, "json") is passes
