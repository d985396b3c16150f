"""What goes wrong while the page is open: said as it is, never a blank page, and over when it is over."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quota_scheduler.auth import Tokens
from quota_scheduler.config import load
from tests.page.looking import opened
from tests.page.seen import seen_in
from tests.page.tokens import ANA, OPERATOR, TOKENS, VIC, VIEWER
from tests.shell.edge import event, ticket
from tests.system.service_process import Place, ServiceProcess, until

LIMITS = """
limits:
  - {id: daily, match: {provider: anthropic}, per: team, unit: tokens, amount: 1M, window: day}
  - {id: runs, match: {provider: anthropic}, unit: leases, amount: 1}
"""
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>&amp;\"'`${1+1}"
LONG = "w" * 200


@pytest.fixture
def service(tmp_path):
    with seen_in(tmp_path, LIMITS) as running:
        yield running


def test_hostile_labels_are_text(service, look):
    labels = {"provider": "anthropic", "team": MARKUP, "project": LONG, "workflow": "{{7*7}} %s"}
    service.ask("POST", "/v1/tickets", [ticket(f"k{n}", 1000, labels=labels) for n in range(3)])
    service.ask(
        "POST", "/v1/usage", [event("e1", 5, at=service.ask("GET", "/v1/queue")["at"], labels={"team": MARKUP})]
    )
    service.tick()
    page = look(service)
    page.sees(MARKUP, "#queue")
    page.sees(f"daily/{MARKUP}", "#limits")
    page.sees(LONG, "#queue")
    assert page.page.locator("main img, main script, main iframe").count() == 0
    page.page.locator("#queue .open").first.click()
    page.sees(MARKUP, "dialog")
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\u202eb", "a\\u202eb", id="a sign that turns the text round"),
        pytest.param("a\x1b[31mb", "a\\u001b[31mb", id="a control character"),
        pytest.param("a\u200bb", "a\\u200bb", id="a sign that nobody sees"),
    ],
)
def test_signs_that_would_mislead_are_written_out(service, look, text, shown):
    page = look(service)
    assert page.page.evaluate("async (text) => (await import('/page/dom.js')).shown(text)", text) == shown


def test_a_limit_that_is_removed_leaves_and_what_was_open_says_so(tmp_path, look):
    with seen_in(tmp_path, LIMITS.replace("per: team, ", "")) as service:
        page = look(service)
        page.sees("daily", "#limits")
        page.press("daily", "#limits")
        page.page.locator("#new-amount").wait_for()
        (tmp_path / "quota.yaml").write_text(
            "database: sqlite:///quota.db\nlimits: [{id: other, unit: tokens, amount: 5M, window: day}]"
        )
        reload(service, tmp_path)
        page.sees("other", "#limits")
        page.misses("daily", "#limits .name")
        page.sees("This limit is gone", "dialog")
        assert page.page.locator("dialog form").count() == 0


WATCHED = """addEventListener("DOMContentLoaded", () => {
  window.lines = [];
  const line = document.getElementById("status");
  new MutationObserver(() => window.lines.push(line.textContent)).observe(line, { childList: true, subtree: true });
})"""
"""Every text that the line has had, as it stood when the script that wrote it had ended."""


def reload(service, folder) -> None:
    """What a reload of the configuration does."""
    from quota_scheduler.assemble import derive

    config = load(folder / "quota.yaml", {"HOME": str(folder)})
    service.serving.service.apply_config(config, derive(config))
    service.tick()


def test_a_lost_connection_is_said_and_heals_by_itself(service, look):
    service.tick()
    page = look(service)
    page.sees("live", "#status")
    page.context.set_offline(True)
    page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.sees("The service does not answer, since", "#banner")
    page.sees("not answering", "#answers")
    assert page.page.evaluate("document.body.classList.contains('stale')")
    page.sees("runs", "#limits")  # what was seen last stays
    page.context.set_offline(False)
    page.misses("The service does not answer", "#banner")
    assert not page.page.evaluate("document.body.classList.contains('stale')")


def test_a_service_that_is_killed_and_comes_back_heals_the_open_page(tmp_path, browser):
    place = Place(tmp_path)
    place.config(LIMITS.replace("per: team, ", "") + "sources: {claude_code: {enabled: false}}\n")
    with ServiceProcess(place) as service:
        service.ready()
        service.ask("POST", "/v1/usage", event("e1", 400_000, at=service.get("/v1/queue")["at"]))
        service.ask("POST", "/v1/tickets", [ticket(f"k{n}", 1000) for n in range(3)])
        page = opened(browser, f"http://127.0.0.1:{service.port}")
        page.sees("40 %", "#limits .figures")
        page.sees("live", "#status")
        service.kill()
        page.sees("The service does not answer, since", "#banner")
        page.sees("40 %", "#limits .figures")  # what was seen last stays
    with ServiceProcess(place, port=service.port) as again:
        again.ready()
        page.misses("The service does not answer", "#banner")
        page.sees("live", "#status")
        page.sees("40 %", "#limits .figures")
        page.sees("2", "#answers .answer:nth-child(2) .main")
        again.ask("POST", "/v1/hold", {"on": True, "reason": "still live"})
        page.sees("still live", "#banner")
    assert page.complaints == []
    page.close()


def test_a_question_that_failed_is_asked_again_though_there_is_no_news(service, look):
    page = look(service)
    page.sees("live", "#status")
    page.page.route("**/v1/page?*", lambda route: route.abort())
    page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.sees("The service does not answer, since", "#banner")
    page.page.unroute("**/v1/page?*")
    page.misses("The service does not answer", "#banner")
    page.sees("live", "#status")  # the stream has been open all the time, and said nothing


def test_without_a_stream_it_is_asked_every_few_seconds(service, browser):
    looked = None
    context = browser.new_context()
    context.route("**/v1/page/events", lambda route: route.abort())
    page = context.new_page()
    page.goto(f"{service.url}/")
    page.wait_for_selector(".answer")
    page.locator("#status").filter(has_text="asked every 5 s").wait_for()
    service.ask("POST", "/v1/hold", {"on": True, "reason": "incident"})
    page.locator("#banner").filter(has_text="incident").wait_for()
    assert looked is None
    context.close()


def test_a_token_is_asked_for_and_asked_again_when_it_has_ended(tmp_path, look):
    with seen_in(tmp_path, LIMITS + TOKENS) as service:
        page = look(service, wait_for="dialog[open]")
        page.sees("This service asks for a token", "dialog")
        assert "limit" not in page.text("main").lower().replace("limits", "")
        enter(page, "a wrong one")
        page.sees("not known any more", "dialog")
        enter(page, VIEWER)
        page.sees("vic (viewer)", "#tools")
        assert page.page.get_by_role("button", name="Hold everything").count() == 0
        withdraw_tokens(service, tmp_path)
        page.sees("not known any more", "dialog")
        enter(page, OPERATOR + "2")
        page.sees("bob (operator)", "#tools")
        page.page.get_by_role("button", name="Hold everything").wait_for()


def test_a_token_that_expires_under_an_open_page_is_told_so(tmp_path, look):
    with seen_in(tmp_path, LIMITS + TOKENS) as service:
        page = look(service, wait_for="dialog[open]")
        enter(page, VIEWER)
        page.sees("vic (viewer)", "#tools")
        soon = datetime.now(UTC) + timedelta(milliseconds=300)
        service.serving.service.tokens = Tokens([ANA, replace(VIC, expires=soon)])
        page.sees("The token 'vic' has expired: ask an operator for the one that follows it.", "dialog")
        enter(page, OPERATOR)
        page.sees("ana (operator)", "#tools")
        page.sees("live", "#status")


def test_the_line_beside_the_title_never_lacks_its_age(service, look):
    service.tick()
    page = look(service, before=lambda one: (one.clock.install(), one.add_init_script(WATCHED)))
    page.sees("live", "#status")
    page.page.clock.fast_forward(200_000)
    until(lambda: any("!" in line for line in page.page.evaluate("window.lines")), what="a mark at figures too old")
    page.context.set_offline(True)
    page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.sees("not answering", "#status")
    lines = [line for line in page.page.evaluate("window.lines") if line != "asking…"]
    assert len(lines) >= 3
    assert [line for line in lines if not re.search(r"figures (are )?\d+ (s|min)( \d+ s)? old", line)] == []


def enter(page, secret: str) -> None:
    """Type a token, and press Enter."""
    page.page.fill("#token", secret)
    page.page.keyboard.press("Enter")


def withdraw_tokens(service, folder) -> None:
    """Other tokens stand in the file now."""
    from hashlib import sha256

    digest = sha256(f"{OPERATOR}2".encode()).hexdigest()
    (folder / "quota.yaml").write_text(
        f"database: sqlite:///quota.db\n{LIMITS}tokens:\n  - {{name: bob, role: operator, sha256: {digest}}}\n"
    )
    reload(service, folder)


def test_a_service_with_nothing_says_what_to_do(tmp_path, look):
    with seen_in(
        tmp_path, "limits: [{id: d, match: {provider: x}, per: team, unit: tokens, amount: 1, window: day}]"
    ) as new:
        page = look(new)
        page.sees("No limit has figures yet", "#limits")
        page.sees("unknown", "#answers")
        page.sees("Nobody waits", "#queue")


def test_two_hundred_limits_are_usable_and_all_are_there(tmp_path, browser):
    rows = "".join(
        f"  - {{id: p-{n:03}, match: {{project: p{n}}}, unit: tokens, amount: {n + 1}M, window: day}}\n"
        for n in range(200)
    )
    with seen_in(tmp_path, f"limits:\n{rows}") as service:
        at = service.ask("GET", "/v1/queue")["at"]
        service.ask("POST", "/v1/usage", [event(f"e{n}", 5000, at=at, labels={"project": f"p{n}"}) for n in range(200)])
        service.tick()
        page = opened(browser, service.url)
        page.sees("200 limits", "#limits-note")
        assert page.page.locator("#limits .body .row").count() == 25
        page.press("Show all 200")
        page.page.locator("#limits .body .row").nth(199).wait_for(state="attached")
        page.page.fill("#limits-find", "p-123")
        page.sees("1 of 200 limits", "#limits-note")
        assert page.page.locator("#limits .body .row").count() == 1
        page.close()
