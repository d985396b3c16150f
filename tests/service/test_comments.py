"""Comments at issues: what is owed, written, looked at again, and given up, against a GitHub that keeps them."""

from collections.abc import Iterator
from concurrent.futures import Future
from datetime import timedelta

import pytest

from quota_scheduler.core.comments.place import CommentPlace
from quota_scheduler.errors import NotLeading
from quota_scheduler.github.identity import TokenIdentity
from quota_scheduler.github.issue_comments import HEADERS, GitHubComments
from quota_scheduler.github.pace import Pace
from quota_scheduler.outbound import OtherServer
from quota_scheduler.service.comments import CommentContext, CommentDesk
from quota_scheduler.store import comments as comment_store
from tests.builders import HOUR, MINUTE, SECOND, a_limit
from tests.github.fake import GitHub, Server
from tests.service.world import World

ISSUE = "Acme/Web#12"


class Office:
    """A world whose tickets name an issue, and a desk that writes to a GitHub of its own."""

    def __init__(self, folder, *limits) -> None:
        self.github = GitHub()
        self.server = Server(self.github)
        self.world = World(folder, *limits)
        self.ticks = 0.0
        self.leads_for = 1_000
        self.start()

    def start(self) -> None:
        """Begin, or begin again with what is on the disk."""
        server = OtherServer(self.server.base, headers=HEADERS, seconds=5)
        pace = Pace(monotonic=lambda: self.ticks, between=timedelta(0))
        writer = GitHubComments(
            server, TokenIdentity(server, "tok"), clock=self.world.clock, pace=pace, must_lead=self._must_lead
        )
        context = CommentContext(lambda: self.world.limits, lambda: (), lambda: "Europe/Berlin")
        self.desk = CommentDesk(self.world.store, self._do, self._ask, context, writer, must_lead=self._must_lead)

    def _must_lead(self) -> None:
        """Lead for so many more looks."""
        self.leads_for -= 1
        if self.leads_for < 0:
            raise NotLeading("another leads")

    def _do(self, work) -> Future:
        future: Future = Future()
        with self.world.store.transaction() as tx:
            future.set_result(work(tx))
        return future

    def _ask(self, request) -> Future:
        future: Future = Future()
        future.set_result(self.world.cycle(request)[0])
        return future

    def submit(self, tokens: int = 10, **changes):
        return self.world.submit(tokens, **({"comment_on": ISSUE, "workflow": "nightly"} | changes))

    def deliver(self) -> str:
        """Write what is due; what our comments say then."""
        self.desk.deliver()
        return "\n---\n".join(text.partition("\n")[2] for text in self.github.texts())

    def wait(self, by: timedelta) -> None:
        self.ticks += by.total_seconds()
        self.world.wait(by)

    def troubles(self) -> list:
        with self.world.store.reading() as tx:
            return comment_store.troubles(tx)


@pytest.fixture
def office(tmp_path) -> Iterator[Office]:
    place = Office(tmp_path, a_limit(100))
    yield place
    place.server.close()


def test_one_comment_tells_the_whole_story(office):
    first = office.submit(80, key="first")
    office.world.renew(first, 20)
    said = [office.deliver()]
    second = office.submit(50, key="second")
    said.append(office.deliver())
    office.world.release(first, 20)
    office.wait(SECOND)
    second = office.world.read(second)
    said.append(office.deliver())
    office.wait(90 * SECOND)
    office.world.release(second, 40)
    said.append(office.deliver())
    heads = [text.split("\n")[0] for text in said]
    assert heads == [
        "✅ **Pre-Flight Checks Passed**",
        "⏸️ **Cannot Start Workflow**",
        "✅ **Pre-Flight Checks Passed**",
        "✅ **Workflow Finished**",
    ]
    assert "**Place in line:** 1\n**Expected start:** " in said[1]
    assert "for 40 tokens (expected: $0.00 for 50)" in said[3]
    assert len(office.github.comments) == 1
    assert [line.split()[0] for line in office.github.writes()] == ["POST", "PATCH", "PATCH", "PATCH"]


def test_what_changed_three_times_is_written_once_as_it_is_now(office):
    held = office.submit(80)
    office.world.renew(held, 10)
    office.world.release(held, 10)
    assert office.deliver().startswith("✅ **Workflow Finished**")
    assert office.github.writes() == ["POST /repos/acme/web/issues/12/comments"]


@pytest.mark.parametrize(
    "looks", [pytest.param(0, id="since its turn began"), pytest.param(1, id="since it began to write")]
)
def test_who_was_stopped_and_leads_no_more_writes_nothing(office, looks: int):
    office.submit(80)
    office.leads_for = looks
    with pytest.raises(NotLeading):
        office.deliver()
    assert office.github.writes() == []
    office.leads_for = 1_000
    assert office.deliver().startswith("✅ **Pre-Flight Checks Passed**")


def test_a_heartbeat_changes_no_word(office):
    held = office.submit(80)
    office.deliver()
    for _ in range(5):
        office.world.renew(held, 10)
        office.deliver()
    assert len(office.github.writes()) == 1


def test_too_large_for_the_budget_says_which_and_how_large(office):
    office.submit(500)
    assert office.deliver() == (
        "💰 **Budget Exceeded**\n\n**Reason:** Its estimate is larger than `day` allows in a whole window.\n\n"
        "**Estimated tokens:** 500 (confidence 100%, $0.00)\n**Budget limit:** 100 tokens (`day`)\n\n"
        "**Recommendation:** Split this into smaller, focused issues.\n\n"
        "<sub>workflow `nightly` · class normal · ticket t1</sub>"
    )


def test_of_two_tickets_of_a_workflow_the_newest_is_told_of(office):
    first = office.submit(30)
    office.submit(40)
    office.deliver()
    office.world.release(first, 1)
    assert office.deliver().startswith("✅ **Pre-Flight Checks Passed**\n\n**Estimated tokens:** 40 ")


def test_a_ticket_without_an_issue_is_told_nowhere(office):
    office.submit(10, comment_on="")
    assert (office.deliver(), office.github.asked) == ("", [])


def test_a_restart_goes_on_with_the_same_comment(office):
    held = office.submit(80)
    office.deliver()
    office.world.kill()
    office.start()
    office.world.release(held, 10)
    office.deliver()
    assert [line.split()[0] for line in office.github.writes()] == ["POST", "PATCH"]


def test_a_crash_between_writing_and_noting_finds_the_comment_again(office):
    office.submit(80)
    office.deliver()
    with office.world.store.transaction() as tx:
        tx.execute("UPDATE comments SET comment = 0, said = '', due_at = changed_at")
    office.deliver()
    assert len(office.github.comments) == 1
    assert [line.split()[0] for line in office.github.writes()] == ["POST"]


def test_a_lost_answer_is_asked_about_before_it_is_written_again(office):
    office.github.lost = [(502, {}, {"message": "Server Error"})]
    office.submit(80)
    assert office.deliver().startswith("✅")
    assert office.troubles() == [
        (CommentPlace("acme/web", 12, "nightly"), "POST /repos/acme/web/issues/12/comments answers 502 (Server Error)")
    ]
    office.wait(4 * SECOND)
    office.deliver()
    before = len(office.github.asked)
    office.wait(SECOND)
    office.deliver()
    assert (len(office.github.comments), len(office.github.asked) - before, office.troubles()) == (1, 1, [])


def test_while_github_asks_to_be_left_alone_nothing_is_asked(office):
    office.github.troubles = [(429, {"Retry-After": "60"}, {})]
    office.submit(10)
    office.submit(10, workflow="other")
    office.deliver()
    asked = list(office.github.asked)
    office.wait(59 * SECOND)
    office.deliver()
    assert (office.github.asked, len(asked)) == (asked, 1)
    office.wait(2 * SECOND)
    office.deliver()
    assert len(office.github.comments) == 2


def test_what_may_not_be_is_left_until_its_ticket_changes(office):
    held = office.submit(10, comment_on="acme/gone#1")
    office.deliver()
    asked = len(office.github.asked)
    office.wait(HOUR)
    office.deliver()
    assert len(office.github.asked) == asked
    assert "no such repository or issue" in office.troubles()[0][1]
    office.github.issues.add(("acme/gone", 1))
    office.world.release(held, 1)
    assert office.deliver().startswith("✅ **Workflow Finished**")


def test_the_place_of_what_waits_is_looked_at_every_five_minutes(office):
    office.world.submit(90)
    rival = office.world.submit(20)
    office.submit(20)
    assert "**Place in line:** 2" in office.deliver()
    office.world.withdraw(rival)
    assert "**Place in line:** 2" in office.deliver()
    office.wait(5 * MINUTE)
    assert "**Place in line:** 1" in office.deliver()


def test_news_of_yesterday_are_not_told(office):
    office.desk.use(None)
    held = office.submit(10)
    office.world.release(held, 1)
    office.wait(timedelta(hours=25))
    office.start()
    assert (office.deliver(), office.github.asked) == ("", [])


def test_an_old_ticket_that_is_forgotten_owes_nothing(office):
    office.submit(10)
    with office.world.store.transaction() as tx:
        tx.execute("UPDATE comments SET ticket = 99")
    office.deliver()
    assert (office.github.asked, office.troubles()[0][1]) == ([], "its ticket is forgotten")
