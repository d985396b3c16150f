"""One comment of ours at an issue, whatever GitHub does meanwhile."""

from datetime import timedelta

import pytest

from quota_scheduler.core.comments.patience import Setback, Trouble
from quota_scheduler.core.comments.place import CommentPlace
from quota_scheduler.github.identity import TokenIdentity
from quota_scheduler.github.issue_comments import HEADERS, GitHubComments
from quota_scheduler.github.pace import Pace
from quota_scheduler.outbound import OtherServer
from tests.builders import MONDAY

PLACE = CommentPlace("acme/web", 12, "nightly")
TEXT = f"{PLACE.mark}\nIt waits."
RESET = str(int(MONDAY.timestamp()) + 90)


def comments_of(base, token="tok", *, login="", clock=lambda: 0.0, between=timedelta(0)):
    """The comments of one account; ``clock`` is the monotonic one."""
    server = OtherServer(base, headers=HEADERS, seconds=5)
    pace = Pace(monotonic=clock, between=between)
    return GitHubComments(server, TokenIdentity(server, token, login), clock=lambda: MONDAY, pace=pace)


def test_it_is_written_once_and_then_edited_in_place(github, base):
    comments = comments_of(base)
    number = comments.put(PLACE, TEXT, comment=0)
    assert comments.put(PLACE, f"{PLACE.mark}\nIt runs.", comment=number) == number
    assert github.texts() == [f"{PLACE.mark}\nIt runs."]
    assert github.writes() == [
        "POST /repos/acme/web/issues/12/comments",
        f"PATCH /repos/acme/web/issues/comments/{number}",
    ]
    assert github.agents == {"quota-scheduler 2022-11-28"}


def test_another_process_finds_it_by_its_mark_behind_two_hundred_others(github, base):
    for number in range(200):
        github.write(f"comment {number}")
    number = comments_of(base).put(PLACE, TEXT, comment=0)
    assert comments_of(base, "other").put(PLACE, f"{PLACE.mark}\nIt runs.", comment=0) == number
    assert github.texts() == [f"{PLACE.mark}\nIt runs."]


def test_a_workflow_has_its_own(github, base):
    other = CommentPlace("acme/web", 12, "docs")
    comments = comments_of(base)
    comments.put(PLACE, TEXT, comment=0)
    comments.put(other, f"{other.mark}\nIt runs.", comment=0)
    assert github.texts() == [TEXT, f"{other.mark}\nIt runs."]


def test_a_mark_that_somebody_else_pasted_is_not_ours(github, base):
    github.write(TEXT, login="eve")
    comments_of(base).put(PLACE, TEXT, comment=0)
    assert (github.texts("eve"), github.texts()) == ([TEXT], [TEXT])


def test_a_mark_that_is_quoted_further_down_is_none(github, base):
    github.write(f"> {PLACE.mark}\nlook at this", login="quota-bot")
    comments_of(base).put(PLACE, TEXT, comment=0)
    assert github.texts() == [f"> {PLACE.mark}\nlook at this", TEXT]


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param((502, {}, {"message": "Server Error"}), id="stored, and answered 502"),
        pytest.param((201, {}, None), id="stored, and the answer has no body"),
    ],
)
def test_a_comment_that_was_stored_though_its_answer_was_lost_is_not_written_again(github, base, lost):
    github.lost = [lost]
    comments = comments_of(base)
    assert comments.put(PLACE, TEXT, comment=0).trouble is Trouble.FAILED
    number = comments.put(PLACE, TEXT, comment=0)
    assert (github.texts(), [*github.comments]) == ([TEXT], [number])


def test_pages_that_have_not_changed_are_asked_for_again_at_no_cost(github, base):
    for number in range(200):
        github.write(f"comment {number}")
    comments = comments_of(base)
    places = [CommentPlace("acme/web", 12, name) for name in ("nightly", "docs", "review")]
    numbers = [comments.put(place, f"{place.mark}\nIt waits.", comment=0) for place in places]
    # one search before each comment is written and one after: all but the last page stand as they were
    searches, full_pages, first_time = 6, 2, 2
    assert github.unchanged >= searches * full_pages - first_time
    assert [comments.put(place, f"{place.mark}\nIt runs.", comment=0) for place in places] == numbers
    assert github.texts() == [f"{place.mark}\nIt runs." for place in places]


def test_a_page_that_changed_meanwhile_is_read_anew(github, base):
    comments, other = comments_of(base), comments_of(base, "other")
    number = comments.put(PLACE, TEXT, comment=0)
    del github.comments[number]
    again = other.put(PLACE, TEXT, comment=0)
    assert comments.put(PLACE, f"{PLACE.mark}\nIt runs.", comment=number) == again
    assert github.texts() == [f"{PLACE.mark}\nIt runs."]


@pytest.mark.parametrize("which", ["PATCH", "DELETE"])
def test_an_edit_or_a_deletion_whose_answer_was_lost_is_done_again(github, base, which):
    comments = comments_of(base)
    first, *_ = [github.write(TEXT, login="quota-bot") for _ in range(1 if which == "PATCH" else 2)]
    github.lost = [(502, {}, {"message": "Server Error"})]
    assert comments.put(PLACE, f"{PLACE.mark}\nIt runs.", comment=0).trouble is Trouble.FAILED
    assert comments.put(PLACE, f"{PLACE.mark}\nIt runs.", comment=0) == first
    assert github.texts() == [f"{PLACE.mark}\nIt runs."]


def test_a_secondary_limit_in_the_middle_leaves_one_comment(github, base):
    ticks = [0.0]
    comments = comments_of(base, clock=lambda: ticks[0])
    limited = (403, {"Retry-After": "30"}, {"message": "You have exceeded a secondary rate limit"})
    github.lost = [limited]
    assert comments.put(PLACE, TEXT, comment=0).trouble is Trouble.LIMITED
    assert not comments.is_free
    ticks[0] = 31.0
    number = comments.put(PLACE, TEXT, comment=0)
    assert (github.texts(), [*github.comments]) == ([TEXT], [number])


def test_one_that_was_deleted_is_written_anew(github, base):
    comments = comments_of(base)
    number = comments.put(PLACE, TEXT, comment=0)
    del github.comments[number]
    assert comments.put(PLACE, TEXT, comment=number) not in (number, 0)
    assert github.texts() == [TEXT]


def test_two_that_write_at_the_same_moment_leave_the_first(github, base):
    other = comments_of(base, "other")
    theirs = []

    def meanwhile():
        github.before_post = lambda: None
        theirs.append(other.put(PLACE, f"{PLACE.mark}\nTheirs.", comment=0))

    github.before_post = meanwhile
    ours = comments_of(base).put(PLACE, TEXT, comment=0)
    assert [ours] == theirs == [*github.comments]
    assert github.texts() == [TEXT]


def test_what_is_doubled_already_becomes_one(github, base):
    first, second = (github.write(TEXT, login="quota-bot") for _ in range(2))
    assert comments_of(base).put(PLACE, f"{PLACE.mark}\nIt runs.", comment=0) == first
    assert second not in github.comments


@pytest.mark.parametrize(
    ("answer", "trouble", "asked", "quiet_for"),
    [
        pytest.param((429, {"Retry-After": "30"}, {}), Trouble.LIMITED, 30, 30, id="429 says how long"),
        pytest.param((403, {"Retry-After": "30"}, {}), Trouble.LIMITED, 30, 30, id="403 says how long"),
        pytest.param(
            (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": RESET}, {}), Trouble.LIMITED, 91, 91,
            id="nothing is left until the reset",
        ),
        pytest.param(
            (403, {}, {"message": "You have exceeded a secondary rate limit"}), Trouble.LIMITED, None, 60,
            id="a secondary limit without a time is a minute",
        ),
        pytest.param((401, {}, {"message": "Bad credentials"}), Trouble.LIMITED, None, 60, id="a refused token"),
        pytest.param((403, {}, {"message": "Resource not accessible"}), Trouble.REFUSED, None, 0, id="no permission"),
        pytest.param((404, {}, {"message": "Not Found"}), Trouble.REFUSED, None, 0, id="no such issue"),
        pytest.param((410, {}, {"message": "Issues are disabled"}), Trouble.REFUSED, None, 0, id="issues turned off"),
        pytest.param((422, {}, {"message": "Validation Failed"}), Trouble.REFUSED, None, 0, id="not as it is"),
        pytest.param((301, {"Location": "/repositories/1"}, {}), Trouble.REFUSED, None, 0, id="the repository moved"),
        pytest.param((503, {}, {}), Trouble.FAILED, None, 0, id="a server in trouble"),
        pytest.param((200, {}, {"no": "list"}), Trouble.FAILED, None, 0, id="no list of comments"),
    ],
)  # fmt: skip
def test_what_is_in_the_way(github, base, answer, trouble, asked, quiet_for):
    ticks = [0.0]
    comments = comments_of(base, login="quota-bot", clock=lambda: ticks[0])
    github.troubles = [answer]
    setback = comments.put(PLACE, TEXT, comment=0)
    assert isinstance(setback, Setback)
    assert (setback.trouble, setback.asked) == (trouble, None if asked is None else timedelta(seconds=asked))
    assert "GET /repos/acme/web/issues/12/comments" in setback.why or answer[0] == 200
    free = []
    for second in (0, quiet_for - 1, quiet_for):
        ticks[0] = float(second)
        free.append(comments.is_free)
    assert free == ([False, False, True] if quiet_for else [True, True, True])


def test_waits_without_a_time_double(github, base):
    ticks = [0.0]
    comments = comments_of(base, login="quota-bot", clock=lambda: ticks[0])
    free_at = []
    for _ in range(3):
        github.troubles = [(429, {}, {})]
        comments.put(PLACE, TEXT, comment=0)
        began = ticks[0]
        while not comments.is_free:
            ticks[0] += 1
        free_at.append(ticks[0] - began)
    assert free_at == [60, 120, 240]


def test_a_last_request_is_noticed_before_the_refusal(github, base):
    ticks = [0.0]
    comments = comments_of(base, clock=lambda: ticks[0])
    github.headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": RESET}
    assert comments.put(PLACE, TEXT, comment=0) == 101
    assert not comments.is_free
    ticks[0] = 91.0
    assert comments.is_free


def test_a_login_that_cannot_be_asked_for_is_a_sentence(github, base):
    github.accounts["tok"] = "github-actions[bot]"
    setback = comments_of(base).put(PLACE, TEXT, comment=0)
    assert setback.why == (
        "GET /user answers 403: set github.login, for the token of a workflow to github-actions[bot]"
    )
    assert isinstance(comments_of(base, login="github-actions[bot]").put(PLACE, TEXT, comment=0), int)


def test_nothing_answers():
    setback = comments_of("http://127.0.0.1:9", login="x").put(PLACE, TEXT, comment=0)
    assert (setback.trouble, setback.why[:17]) == (Trouble.FAILED, "nothing answers a")
