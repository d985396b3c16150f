"""Every deed of an operator on the page: what it says first, what it does then, and that it is written down."""

import pytest

from tests.page.seen import seen_in
from tests.shell.edge import event, ticket

LIMITS = """
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1M, window: day, holdback: 0}
  - {id: runs, match: {provider: anthropic}, unit: leases, amount: 1}
"""


@pytest.fixture
def service(tmp_path):
    """One ticket runs, three wait."""
    with seen_in(tmp_path, LIMITS) as running:
        running.ask("POST", "/v1/tickets", [ticket(f"k{n}", 1000) for n in range(4)])
        running.tick()
        yield running


def open_ticket(page, number: str) -> None:
    """Look at a ticket closer."""
    page.page.locator(".open", has_text=number).first.click()
    page.page.locator("dialog[open]").wait_for()


@pytest.mark.parametrize(
    ("number", "button", "says", "confirm", "said", "audit"),
    [
        pytest.param(
            "t2", "Start now", "whatever its limits say", "Start it", "t2 may start.", "ticket.forced", id="start"
        ),
        pytest.param("t2", "Hold", "keeps its place", "Hold it", "t2 is held.", "ticket.held", id="hold"),
        pytest.param("t3", "Cancel", "leaves the queue for good", "Cancel it", "t3 was cancelled.", None, id="cancel"),
        pytest.param(
            "t1",
            "Take its lease away",
            "1 ticket would start: 1 normal.",
            "Take it away",
            "was taken away",
            "lease.revoked",
            id="take a lease away",
        ),
        pytest.param(
            "t4",
            "Change class",
            "its place would be 1, it is 3",
            "Move it to interactive",
            "t4 is interactive now.",
            "ticket.reclassed",
            id="change a class",
        ),
    ],
)
def test_a_deed_says_what_it_will_do_then_does_it(service, look, number, button, says, confirm, said, audit):
    page = look(service)
    open_ticket(page, number)
    page.press(button, "dialog")
    page.sees(says, "dialog")
    page.press(confirm, "dialog")
    page.sees(said, "#said")
    assert [row["what"] for row in service.ask("GET", "/v1/audit")["audit"]] == ([audit] if audit else [])


def test_leaving_it_changes_nothing(service, look):
    page = look(service)
    open_ticket(page, "t2")
    page.press("Start now", "dialog")
    page.press("Leave it", "dialog")
    page.page.locator("dialog").wait_for(state="hidden")
    assert len(service.ask("GET", "/v1/queue")["waiting"]) == 3


def test_an_amount_is_changed_after_saying_who_would_start(service, look):
    page = look(service)
    open_ticket(page, "runs")
    page.page.fill("#new-amount", "3")
    page.press("Change the amount", "dialog")
    page.sees("2 tickets would start: 2 normal.", "dialog")
    page.press("Change it", "dialog")
    page.sees("runs is 3 now.", "#said")
    assert service.ask("GET", "/v1/limits/runs")["holds"]["amount"] == 3


def test_an_amount_that_is_none_is_refused_in_words(service, look):
    page = look(service)
    open_ticket(page, "runs")
    page.page.fill("#new-amount", "a few")
    page.press("Change the amount", "dialog")
    page.sees("What it would do is not known", "dialog")


@pytest.fixture
def alerting(tmp_path):
    """A limit is used up, and an alert fires."""
    with seen_in(tmp_path, LIMITS) as running:
        at = running.ask("GET", "/v1/queue")["at"]
        running.ask("POST", "/v1/usage", [event("e1", 2_000_000, at=at)])
        for _ in range(3):
            running.tick()
        yield running


def test_an_alert_is_acknowledged_and_silenced(alerting, look):
    page = look(alerting)
    page.sees("used up", "#limits")
    page.page.locator("#alerts .alert").first.wait_for()
    page.press("Acknowledge", "#alerts")
    page.press("Acknowledge", "dialog")
    page.sees("local takes care", "#alerts")
    page.press("Silence", "#alerts")
    page.page.select_option("#silence-for", "4h")
    page.page.fill("#silence-why", "known since Monday")
    page.press("Silence it", "dialog")
    page.sees("known since Monday", "#alerts")
    (silence,) = alerting.ask("GET", "/v1/silences")["silences"]
    assert silence["alerts"]
    page.press("End", "#alerts")
    page.press("End it", "dialog")
    page.misses("known since Monday", "#alerts")


def test_by_keyboard_alone(service, look):
    page = look(service)
    keyboard = page.page.keyboard
    keyboard.press("Shift+H")
    page.sees("Nothing new starts", "dialog")
    keyboard.press("Enter")
    page.sees("Everything is held", "#banner")
    keyboard.press("2")
    assert page.page.evaluate("document.activeElement.id") == "queue"
    for _ in range(2):
        keyboard.press("Tab")
    keyboard.press("Enter")
    page.sees("Start now", "dialog")
    keyboard.press("Escape")
    page.page.locator("dialog").wait_for(state="hidden")
    assert page.page.evaluate("document.activeElement.textContent") == "t2"
    keyboard.press("?")
    page.sees("hold everything, or let it go on", "dialog")
    keyboard.press("Escape")
    keyboard.press("w")
    assert page.page.evaluate("document.activeElement.id") == "queue-find"
    keyboard.type("t4")
    page.sees("1 of 3 tickets", "#queue-note")
