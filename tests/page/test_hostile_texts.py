"""What others write, wherever it arrives on the page: text, never a script, and the phone scrolls one way only."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.page.seen import seen_in
from tests.shell.edge import event, ticket

PHONE = {"viewport": {"width": 375, "height": 740}, "has_touch": True, "is_mobile": True}
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>&amp;\"'`${1+1}"
RIGHT_TO_LEFT, LONG = "שלום (עולם) 12 " * 8, "w" * 200
TEAMS = {"markup": MARKUP, "turned": RIGHT_TO_LEFT.strip(), "long": LONG}
LIMITS = """
limits:
  - {id: pool, match: {provider: anthropic}, unit: tokens, amount: 30k, window: day, holdback: 0}
  - {id: part, match: {provider: anthropic}, per: team, unit: tokens, amount: 4k, window: day, holdback: 0,
     parent: pool, borrow: 2k}
  - {id: runs, match: {provider: anthropic}, unit: leases, amount: 1}
sources: {claude_code: {enabled: false}}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The same three texts as teams, workflows, reasons and comments: in loans, alerts, silences, holds, costs."""
    with seen_in(tmp_path_factory.mktemp("hostile"), LIMITS) as running:
        now = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
        for name, text in TEAMS.items():
            labels = {"team": text, "workflow": text}
            used = event(name, 5_000, at=f"{now:%Y-%m-%dT%H:%M:%SZ}", labels=labels, run=name)
            assert running.ask("POST", "/v1/usage", [used])["rejected"] == []
            running.ask(
                "POST",
                "/v1/tickets",
                [ticket(f"{name}{n}", 100, labels={**labels, "provider": "anthropic"}) for n in range(2)],
            )
            matchers = {"rule": "exhausted", "scope": f"part/{text}"[:200]}
            running.ask("POST", "/v1/silences", {"matchers": matchers, "for": "4h", "comment": text * 2})
        running.tick()
        running.tick()
        running.ask("POST", "/v1/hold", {"on": True, "reason": MARKUP + "w" * 300})
        running.tick()
        yield running


@pytest.fixture
def page(service, look):
    page = look(service, **PHONE)
    page.sees("Done by hand", "#more-right")
    page.page.evaluate("void (window.alert = () => { window.alerted = true; })")
    yield page
    assert page.page.evaluate("window.alerted") is None
    assert page.page.locator("main img, main script, dialog img, dialog script").count() == 0
    assert page.page.evaluate("document.documentElement.scrollWidth") == 375


@pytest.mark.parametrize(
    "part",
    ["#limits", "#queue", "#alerts", "#loans", "#efficiency", "#deeds", "#banner"],
)
def test_what_others_write_is_text_there(page, part):
    page.sees(MARKUP, part)
    if part not in ("#banner", "#deeds"):
        page.sees(LONG, part)
        page.sees("(עולם)", part)
    inside = page.page.evaluate(
        "(part) => [...document.querySelectorAll(`${part} *`)].filter((one) => !one.closest('svg, .scroll, .hidden')"
        " && one.getBoundingClientRect().right > 376).map((one) => one.outerHTML.slice(0, 80))",
        part,
    )
    assert inside == []


@pytest.mark.parametrize(
    "opener",
    [
        pytest.param("#limits .open", id="each limit"),
        pytest.param("#queue .open", id="each waiting ticket"),
        pytest.param("#running .open", id="each lease"),
    ],
)
def test_what_opens_shows_it_as_text(page, opener):
    for place in range(page.page.locator(opener).count()):
        page.page.locator(opener).nth(place).click()
        page.page.locator("dialog .facts").wait_for()
        wide = page.page.evaluate(
            "(() => { const d = document.querySelector('dialog'); return d.scrollWidth - d.clientWidth; })()"
        )
        assert wide == 0
        page.page.keyboard.press("Escape")


def test_an_error_that_repeats_it_is_text(page):
    page.page.locator("#limits .open", has_text="part").first.click()
    page.page.fill("#new-amount", MARKUP + LONG)
    page.press("Change the amount", "dialog")
    page.sees("What it would do is not known", "dialog")
    page.sees("<img src=x", "dialog .bad")


def test_what_if_answers_with_it_as_text(page):
    page.press("What if…", "#tools")
    page.press("Play it", "dialog")
    page.sees("What was taken for granted", "#outcome")
    page.sees("part", "#outcome")


STOP = """() => {
    const one = document.activeElement, box = one.getBoundingClientRect();
    const name = one.getAttribute('aria-label') || one.labels?.[0]?.textContent || one.textContent;
    return {at: one.closest('section, header, footer, dialog')?.id || one.closest('header, footer')?.localName || 'top',
        named: Boolean(name.trim()), inside: box.left >= -1 && box.right <= 376 && box.width > 0};
}"""
"""Where the focus is: in which part, whether it has a name, and whether a phone shows it from side to side."""


def test_by_keyboard_alone_everything_is_reached_and_comes_back(page):
    keyboard, seen, stops = page.page.keyboard, [], 0
    while stops < 200:
        keyboard.press("Tab")
        stops += 1
        if page.page.evaluate("document.activeElement === document.body"):
            break
        seen.append(page.page.evaluate(STOP))
    # the link past the head stands outside until it has the focus, a table that scrolls begins inside
    assert [one for one in seen if not (one["named"] and one["inside"])] == []
    assert {one["at"] for one in seen} >= {"header", "limits", "queue", "alerts", "running", "efficiency", "footer"}
    for part, opener in (("1", "limits"), ("2", "queue"), ("4", "running")):
        keyboard.press(part)
        while page.page.evaluate("!document.activeElement.matches('.open')"):
            keyboard.press("Tab")
        before = page.page.evaluate("document.activeElement.textContent")
        keyboard.press("Enter")
        page.page.locator("dialog .facts").wait_for()
        assert page.page.evaluate("document.activeElement.closest('dialog') !== null")
        keyboard.press("Escape")
        page.page.locator("dialog").wait_for(state="hidden")
        after = page.page.evaluate(
            f"[document.activeElement.textContent, document.activeElement.closest('#{opener}') !== null]"
        )
        assert after == [before, True]


def test_what_a_key_leads_to_does_not_lie_under_what_stands_above(service, look):
    page = look(service)
    page.sees("Everything is held", "#banner")
    page.page.keyboard.press("2")
    top, above = page.page.evaluate(
        "['#queue-title', 'header'].map((one) => document.querySelector(one).getBoundingClientRect())"
        ".map((box, place) => place ? box.bottom : box.top)"
    )
    assert top >= above
