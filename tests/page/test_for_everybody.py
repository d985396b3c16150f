"""For everybody: axe-core finds nothing serious in light and dark, a phone scrolls one way only, the page prints."""

import pytest

from tests.page.seen import seen_in
from tests.shell.edge import event, ticket

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LIMITS = """
limits:
  - {id: daily, match: {provider: anthropic}, per: team, unit: tokens, amount: 1M, window: day}
  - {id: money, unit: usd, amount: 1, window: month}
  - {id: runs, match: {provider: anthropic}, unit: leases, amount: 1}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Something of everything: used up, waiting, running, an alert, costs."""
    with seen_in(tmp_path_factory.mktemp("page"), LIMITS) as running:
        running.ask("POST", "/v1/tickets", [ticket(f"k{n}", 1000) for n in range(4)])
        at = running.ask("GET", "/v1/queue")["at"]
        labels = {"team": "growth", "workflow": "nightly"}
        running.ask(
            "POST", "/v1/usage", [event("e1", 2_000_000, at=at, labels=labels, run="r1", model="claude-opus-5")]
        )
        for _ in range(3):
            running.tick()
        yield running


def serious(page) -> list[str]:
    """What axe-core finds that keeps somebody out."""
    found = axe.Axe().run(page.page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding(service, look, scheme):
    page = look(service, color_scheme=scheme)
    page.sees("Efficiency by workflow", "#more-left")
    assert serious(page) == []


@pytest.mark.parametrize(
    "opened",
    [
        pytest.param("#limits .open", id="a limit"),
        pytest.param("#queue .open", id="a waiting ticket"),
        pytest.param("#running .open", id="a lease"),
        pytest.param("#hold-all", id="holding everything"),
    ],
)
def test_no_serious_finding_in_what_opens(service, look, opened):
    page = look(service)
    page.page.locator(opened).first.click()
    page.page.locator("dialog .deeds button").first.wait_for()
    assert serious(page) == []


def test_a_phone_scrolls_down_only(service, look):
    page = look(service, **PHONE)
    page.sees("Efficiency by workflow", "#more-left")
    assert page.page.evaluate("document.documentElement.scrollWidth") == 390
    assert serious(page) == []
    heights = page.page.evaluate("[...document.querySelectorAll('#tools button')].map((one) => one.offsetHeight)")
    assert min(heights) >= 36


def test_printed_it_has_figures_and_no_buttons(service, look):
    page = look(service)
    page.page.emulate_media(media="print")
    assert not page.page.locator("#tools").is_visible()
    assert page.page.locator("#limits .row").first.is_visible()


def test_states_are_words_and_signs_too(service, look):
    page = look(service)
    page.sees("■ used up", "#limits .state")
    page.sees("■ full", "#limits .state")
