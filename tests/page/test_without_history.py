"""Nothing is known yet, or no longer what o'clock it is: said in words, never 0 for unknown, never a blank or a NaN."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.page.looking import Looked
from tests.page.seen import Seen, seen_in
from tests.shell.edge import event
from tests.shell.serving import serving_in
from tests.system.service_process import until

BROKEN = re.compile(r"NaN|undefined|null|Infinity|Invalid Date|\[object")
SHIFT = timedelta(hours=7)
LIMITS = """
timezone: Europe/Berlin
limits:
  - {id: tokens-day, match: {provider: anthropic}, unit: tokens, amount: 1M, window: day}
  - {id: dollars-week, match: {provider: anthropic}, unit: usd, amount: 100,
     window: {every: week, timezone: Asia/Kathmandu}}
  - {id: session, match: {provider: anthropic}, unit: tokens, amount: 1M, window: {session: 5h}}
  - {id: nothing, match: {provider: anthropic}, unit: requests, amount: 0, window: month}
  - {id: plan, match: {account: max-1}, unit: percent, amount: 100, window: {session: 5h}, observed: claude/five_hour}
  - {id: advice, match: {team: growth}, unit: tokens, amount: 1M, window: day, mode: warn}
  - {id: runs, match: {provider: anthropic}, unit: leases, amount: 2}
sources: {claude_code: {enabled: false}}
"""


class Stepped:
    """A clock that somebody sets ahead or back; it goes on from there."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def broken(page: Looked) -> list[str]:
    """Texts, names and shapes on the page that are no words and no figures."""
    texts = page.page.evaluate("""() => [...document.querySelectorAll('body *')].flatMap((node) => [
        ...[...node.childNodes].filter((one) => one.nodeType === 3).map((one) => one.data),
        ...['aria-label', 'd', 'points', 'x', 'y', 'width', 'height', 'cx', 'cy', 'title', 'datetime']
            .map((name) => node.getAttribute(name) || '')])""")
    return [text for text in texts if BROKEN.search(text)]


@pytest.fixture(scope="module")
def clock() -> Stepped:
    return Stepped()


@pytest.fixture(scope="module")
def service(tmp_path_factory, clock):
    with seen_in(tmp_path_factory.mktemp("young"), LIMITS, clock=clock) as running:
        yield running


YOUNG = "unknown | too little history"
ROW = """(row) => [row.querySelector('.open').textContent,
    ...['figures', 'out', 'reset', 'state'].map((name) => [...row.querySelector(`.${name}`).children]
        .filter((one) => !one.classList.contains('label')).map((one) => one.textContent).join(' | ')),
    row.querySelector('.limit-bar').getAttribute('aria-label')]"""
"""Of a limit: its name, its cells, and what its bar says to whoever cannot see it."""


def table(page: Looked) -> dict[str, list[str]]:
    """Every limit as it stands there; clocks and spans are left out."""
    rows = page.page.evaluate(f"() => [...document.querySelectorAll('#limits .body .row')].map({ROW})")
    return {
        name: [re.sub(r"in [\d hdmins]+ \| (\w+ )?\d\d:\d\d", "in …", text) for text in rest] for name, *rest in rows
    }


def test_limits_that_nobody_has_used_say_so_in_words(service, look):
    page = look(service)
    page.sees("runs", "#limits")
    young = "0 % used, forecast unknown: too little history"
    nobody = "Nobody has reported on it yet: see that a status line or another door sends reports."
    assert table(page) == {
        "nothing": ["100 % | 0 of 0 requests", "has run out", "in … Europe/Berlin", "■ used up",
                    "100 % used, forecast unknown: too little history"],
        "tokens-day": ["0 % | 0 of 1M tokens", YOUNG, "in … Europe/Berlin", "? unknown", young],
        "dollars-week": ["0 % | $0.00 of $100.00", YOUNG, "in … Asia/Kathmandu", "? unknown", young],
        "session": ["0 % | 0 of 1M tokens", YOUNG, "on first use", "? unknown", young],
        "plan": ["unknown | of 100 % | nobody has reported yet", YOUNG, "on first use",
                 f"? unknown | ? provider: nothing said | {nobody}", young.replace("0 % used", "used unknown")],
        "advice": ["0 % | 0 of 1M tokens", YOUNG, "in … Europe/Berlin", "◇ warn only", young],
        "runs": ["0 % | 0 of 2 leases", "–", "never", "● 2 free", "0 % used"],
    }  # fmt: skip
    assert broken(page) == []


@pytest.mark.parametrize(
    ("title", "words"),
    [
        pytest.param("Runs out next", ["1 has run out", "nothing"], id="of what is too new nothing is said to last"),
        pytest.param("Waiting", ["nobody"], id="nobody waits"),
        pytest.param("Running", ["nothing"], id="nothing runs"),
        pytest.param("Cost today", ["unknown", "nothing was recorded in 14 days"], id="no cost is not a cost of 0"),
    ],
)
def test_the_first_words_are_words(service, look, title, words):
    page = look(service)
    page.sees("nothing was recorded", "#answers")
    card = page.page.locator(".answer", has=page.page.get_by_role("heading", name=title))
    assert [line for line in card.inner_text().splitlines() if line][1:] == words


def test_a_limit_that_opens_has_no_figure_for_what_is_unknown(service, look):
    page = look(service)
    for name in ("tokens-day", "plan", "session", "nothing", "runs"):
        page.press(name, "#limits")
        page.sees(name, "dialog")
        page.page.locator("dialog .deeds button").first.wait_for()
        assert broken(page) == []
        page.page.keyboard.press("Escape")


def test_before_the_first_look_nothing_is_called_known(tmp_path, look):
    """A service that has begun and not ticked yet."""
    with serving_in(tmp_path, LIMITS) as serving:
        serving.at_end.append(serving.service.drain)
        page = look(Seen(serving))
        page.sees("Nothing was looked at yet", "#limits")
        page.sees("starting", "#answers")
        page.sees("no limit has figures yet", "#answers")
        page.sees("Nobody waits.", "#queue")
        page.sees("Nothing was read or received yet.", "#sources")
        assert broken(page) == []


@pytest.mark.parametrize("shift", [pytest.param(SHIFT, id="ahead"), pytest.param(-SHIFT, id="back")])
def test_the_service_s_clock_steps_under_an_open_page(service, clock, look, shift):
    page = look(service)
    page.sees("tokens-day", "#limits")
    try:
        clock.ahead = shift
        service.tick()
        there = datetime.now(UTC) + shift
        until(lambda: abs(made_at(page) - there) < timedelta(minutes=1), what="figures of that time")
        page.sees("live · figures", "#status")
        assert re.search(r"figures \d\d? s old", page.text("#status"))
        hours = page.page.locator("#limits .row", has_text="tokens-day").locator(".reset").inner_text()
        midnight = there.astimezone(ZoneInfo("Europe/Berlin")).replace(hour=0, minute=0) + timedelta(days=1)
        assert abs(read_span(hours) - (midnight - there)) < timedelta(minutes=3)
        assert broken(page) == []
    finally:
        clock.ahead = timedelta(0)
        service.tick()


@pytest.mark.parametrize("shift", [pytest.param(SHIFT, id="ahead"), pytest.param(-SHIFT, id="back")])
def test_the_browser_s_clock_is_seven_hours_off(service, look, shift):
    service.tick()
    off = f"Date.now = ((now) => () => now() + {shift.total_seconds() * 1000:.0f})(Date.now)"
    page = look(service, before=lambda tab: tab.add_init_script(off))
    page.sees("tokens-day", "#limits")
    assert re.search(r"figures \d\d? s old", page.text("#status"))
    hours = page.page.locator("#limits .row", has_text="tokens-day").locator(".reset").inner_text()
    now = datetime.now(ZoneInfo("Europe/Berlin"))
    assert abs(read_span(hours) - (now.replace(hour=0, minute=0) + timedelta(days=1) - now)) < timedelta(minutes=3)
    page.misses("late", "#answers")


def made_at(page: Looked) -> datetime:
    """When the figures that stand there were made."""
    return datetime.fromisoformat(page.page.locator("#status time").get_attribute("datetime"))


def read_span(text: str) -> timedelta:
    """How long it is: "in 7 h 53", "in 45 min", "in 12 s"."""
    parts = re.search(r"in (?:(\d+) h (\d+)|(\d+) min|(\d+) s)", text)
    assert parts, text
    hours, minutes, alone, seconds = (int(part or 0) for part in parts.groups())
    return timedelta(hours=hours, minutes=minutes + alone, seconds=seconds)


def test_what_was_used_a_moment_ago_is_a_figure_and_no_forecast(serve, look):
    service = serve(LIMITS)
    at = service.ask("GET", "/v1/queue")["at"]
    service.ask("POST", "/v1/usage", [event("e1", 250_000, at=at)])
    service.tick()
    page = look(service)
    page.sees("25 %", "#limits .figures")
    assert table(page)["tokens-day"][:2] == ["25 % | 250k of 1M tokens | partly estimated", YOUNG]
    assert table(page)["session"][2].startswith("in …")
    assert broken(page) == []
