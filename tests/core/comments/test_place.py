"""Which comment is meant, and how it is known again."""

import pytest

from quota_scheduler.core.comments.place import CommentPlace, issue_text
from tests.builders import a_ticket


@pytest.mark.parametrize(
    ("comment_on", "place"),
    [
        pytest.param("acme/web#12", CommentPlace("acme/web", 12, "nightly"), id="an issue"),
        pytest.param("Acme/Web.js#12", CommentPlace("acme/web.js", 12, "nightly"), id="case tells nothing apart"),
        pytest.param("", None, id="no issue"),
        pytest.param("acme/web", None, id="no number"),
        pytest.param("acme/web/../user#1", None, id="another path"),
    ],
)
def test_where_a_ticket_is_told_of(comment_on, place):
    assert CommentPlace.of(a_ticket(comment_on=comment_on, workflow="nightly")) == place


def test_an_issue_as_tickets_carry_it():
    assert issue_text("acme/web", 12) == "acme/web#12"


@pytest.mark.parametrize(
    ("body", "ours"),
    [
        pytest.param("{mark}\ntext", True, id="the first line"),
        pytest.param("{mark}\r\ntext", True, id="with the line ends of a browser"),
        pytest.param("> {mark}\ntext", False, id="a quotation"),
        pytest.param("text\n{mark}", False, id="further down"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_a_mark_is_the_first_line(body, ours):
    place = CommentPlace("acme/web", 12, "nightly --> <b>")
    assert place.marks(body.format(mark=place.mark)) is ours


def test_a_mark_holds_nothing_that_a_runner_wrote():
    marks = {CommentPlace("acme/web", 1, name).mark for name in ("", "-->", "nightly")}
    assert len(marks) == 3
    assert all(mark.startswith("<!-- quota-scheduler:v1 key=") and len(mark) == 48 for mark in marks)
