"""Values of others are text and nothing else."""

import pytest

from quota_scheduler.core.comments.markdown import LONGEST_BODY, code, codes, within


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("nightly", "`nightly`", id="a name"),
        pytest.param("@acme/everybody", "`@acme/everybody`", id="a mention stays inside"),
        pytest.param("a`b", "``a`b``", id="a backtick inside"),
        pytest.param("``", "``` `` ```", id="backticks at the ends"),
        pytest.param("a\n\n# b\r\n<img>", "`a  # b  <img>`", id="line breaks end no span"),
        pytest.param("a\u202eb\u2028c\x00", "`a b c`", id="nothing invisible"),
        pytest.param(" \n", "` `", id="nothing"),
        pytest.param("x" * 500, f"`{'x' * 200}…`", id="a long one"),
    ],
)
def test_a_value_is_a_code_span(value, shown):
    assert code(value) == shown


def test_of_many_values_the_first_are_named():
    assert codes(["a", "b", "c", "d"], most=2) == "`a`, `b` and 2 more"


def test_a_comment_that_is_too_long_is_cut_after_a_line():
    short = within("line ä\n" * 20_000)
    assert len(short.encode()) <= LONGEST_BODY
    assert short.endswith("line ä\n\n… (cut: the rest is too long for a comment)")
    assert within("short") == "short"
