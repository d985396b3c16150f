"""The what-if form: what a person asks, what comes back, and what goes wrong meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.page.seen import seen_in
from tests.page.tokens import TOKENS, VIEWER
from tests.shell.edge import event

LIMITS = """
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1000, window: day}
  - {id: money, unit: usd, amount: 100, window: month}
sources: {claude_code: {enabled: false}}
"""
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
MARKUP = "<img src=x onerror=alert(1)>&amp;\"'`${1+1}"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
NONE = {"policies": ["none"], "last": "30d"}


def usage(number: int):
    """Two runs a day for 20 days, of 300 and 600 tokens."""
    at = TODAY - timedelta(days=20 - number // 2, hours=-(3 + 5 * (number % 2)))
    labels = {"team": "growth", "workflow": MARKUP if number % 2 else "nightly"}
    return event(
        f"k{number}", 300 * (1 + number % 2), at=f"{at:%Y-%m-%dT%H:%M:%SZ}", labels=labels, run=f"r{number}",
        model="claude-haiku-4-5", **{"class": "high" if number % 2 else "normal"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with seen_in(tmp_path_factory.mktemp("what-if"), LIMITS) as running:
        running.ask("POST", "/v1/usage", [usage(number) for number in range(40)])
        running.tick()
        yield running


@pytest.fixture
def form(service, look):
    """The form, opened by its key."""
    page = look(service)
    page.page.keyboard.press("i")
    page.sees("What if…", "dialog")
    return page


def rows(page, label):
    """The cells of a table by its label, a list for each row."""
    table = page.page.get_by_role("group", name=label)
    return [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]


def short(value):
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def test_a_smaller_week_is_asked_by_keyboard_alone_and_shows_what_the_api_says(form, service):
    keyboard = form.page.keyboard
    keyboard.press("Control+A")
    keyboard.type("-50%")
    keyboard.press("Enter")
    form.sees("What would have been different", "dialog")
    said = service.ask("POST", "/v1/simulate", {"amounts": {"*": "-50%"}, "last": "30d"})
    by_class = {case["case"]: {row["policy"]: row for row in case["policies"]} for case in said["cases"]}
    shown = rows(form, "By class, under two-sided")
    assert [row[:7] for row in shown] == [
        [name, case, str(row["runs"]), *(short(row[key]) for key in ("demand", "done", "denied", "unfinished"))]
        for name in ("high", "normal")
        for case, policies in by_class.items()
        for row in [policies["two-sided"]["classes"][name]]
    ]
    assert by_class["as it is"]["two-sided"] != by_class["what if"]["two-sided"]
    limits = rows(form, "By limit, under two-sided")
    assert [(row[0], row[3]) for row in limits] == [
        (row["limit"], f"{short(row['amount'])} tokens" if row["unit"] == "tokens" else f"${row['amount']:.2f}")
        for policies in by_class.values()
        for row in policies["two-sided"]["limits"]
    ]
    for sentence in said["assumed"]:
        form.sees(sentence, "#outcome")
    assert form.page.evaluate("document.activeElement.tagName") == "H3"


def test_one_limit_a_window_a_class_a_budget_and_a_policy(form, service):
    page = form.page
    page.select_option("[data-what=limit]", "daily")
    page.fill("[data-what=amount]", "800")
    page.select_option("[data-what=window]", "week")
    page.click("summary")
    page.fill("[name=label]", f"workflow={MARKUP}")
    page.fill("[name=team]", "growth")
    page.fill("[name=budget]", "700/day")
    page.locator("label.check", has_text="first come, first served").click()
    form.press("Play it", "dialog")
    form.sees("By class, under none", "#outcome")
    body = {
        "policies": ["two-sided", "none"],
        "amounts": {"daily": "800"},
        "windows": {"daily": "week"},
        "classes": {f"workflow={MARKUP}": "low"},
        "budgets": {"growth": "700/day"},
    }
    then = service.ask("POST", "/v1/simulate", {**body, "last": "30d"})["cases"][1]["policies"]
    shown = {row[0]: row[2:] for row in rows(form, "By who decides") if row[1] == "what if"}
    keys = ("harm", "avoidable_harm", "lost", "value")
    assert {name: row[:4] for name, row in shown.items()} == {
        row["policy"]: [f"{round(row[key] + 1e-9, 1):g} %" for key in keys] for row in then
    }
    assert page.locator("dialog img").count() == 0


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        pytest.param("[data-what=amount]", "-200%", "it must be more than 0 %", id="less than nothing"),
        pytest.param("[data-what=amount]", MARKUP, f"'{MARKUP[:20]}", id="markup for an amount"),
        pytest.param("[name=label]", f"team={MARKUP}", f"no run has the team '{MARKUP[:20]}", id="markup for a team"),
        pytest.param("[name=label]", "__proto__=x", "'__proto__=x' is no label and value", id="no label"),
        pytest.param("[name=team]", "growth", "a budget needs a team (* for each) and an amount", id="half a budget"),
        pytest.param("[name=new]", "claude-x", "another model needs the name", id="half a model"),
        pytest.param("[name=policy]", "", "choose at least one under who decides", id="nobody decides"),
    ],
)
def test_what_cannot_be_meant_is_said_and_the_form_stays(form, field, text, sentence):
    form.page.click("summary")
    form.page.uncheck(field) if field == "[name=policy]" else form.page.fill(field, text)
    form.press("Play it", "dialog")
    form.sees(sentence, "dialog .bad")
    assert form.page.locator("dialog img").count() == 0
    if text:
        assert form.page.input_value(field) == text
    assert form.page.get_by_role("button", name="Play it").is_enabled()


def test_an_empty_form_asks_how_it_was(form):
    form.page.fill("[data-what=amount]", "")
    form.press("Play it", "dialog")
    form.sees("How it was, played again", "#outcome")
    assert {row[1] for row in rows(form, "By who decides")} == {"as it is"}


def test_two_amounts_for_a_limit_are_asked_about(form):
    form.press("Another limit", "dialog")
    form.page.locator("[data-what=amount]").nth(1).fill("80%")
    form.press("Play it", "dialog")
    form.sees("all limits have two amounts here", "dialog .bad")
    form.page.get_by_role("button", name="Leave this limit out").nth(1).click()
    form.press("Play it", "dialog")
    form.sees("What would have been different", "#outcome")


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda page: page.press("Cancel", "dialog"), id="cancelled"),
        pytest.param(lambda page: page.page.keyboard.press("Escape"), id="closed"),
    ],
)
def test_who_leaves_ends_the_work(form, service, leave):
    page = form.page
    page.evaluate(
        """() => {
          const ask = window.fetch, quotas = Array.from({length: 199}, (_, n) => `${n + 1}k/day`);
          window.fetch = (path, options) =>
            ask(path, path === 'v1/simulate' ? {...options, body: JSON.stringify({quotas})} : options);
        }"""
    )
    form.press("Play it", "dialog")
    page.locator("progress").wait_for()
    page.wait_for_function("() => document.querySelector('.outcome .note')")
    leave(form)
    page.locator("progress").wait_for(state="detached")
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while service.serving.facade.simulations.playing and datetime.now(UTC) < deadline:
        page.wait_for_timeout(20)
    assert service.serving.facade.simulations.playing == 0


def test_a_lost_connection_is_said(form):
    form.page.route("**/v1/simulate", lambda route: route.abort())
    form.press("Play it", "dialog")
    form.sees("the service does not answer", "dialog .bad")


def test_a_stop_half_way_is_said(form):
    lines = '{"done": 0.5}\n'
    form.page.route("**/v1/simulate", lambda route: route.fulfill(body=lines, content_type="application/x-ndjson"))
    form.press("Play it", "dialog")
    form.sees("the service stopped before it was played to the end", "dialog .bad")


def test_it_begins_with_the_limit_that_was_looked_at(service, look):
    page = look(service)
    page.press("daily", "#limits")
    page.press("What if it were different?", "dialog")
    assert page.page.input_value("[data-what=limit]") == "daily"


def test_on_a_phone_it_scrolls_down_only_and_nothing_serious_is_in_the_way(service, look):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    page = look(service, **PHONE)
    page.press("What if…", "#tools")
    page.page.click("summary")
    page.press("Play it", "dialog")
    page.sees("What was taken for granted", "#outcome")
    width = page.page.evaluate(
        "(() => { const box = document.querySelector('dialog'); return box.scrollWidth - box.clientWidth; })()"
    )
    assert (width, page.page.evaluate("document.documentElement.scrollWidth")) == (0, 390)
    violations = axe.Axe().run(page.page).response["violations"]
    assert [one["id"] for one in violations if one["impact"] in ("serious", "critical")] == []


def test_a_token_that_has_ended_is_asked_for(tmp_path, look):
    with seen_in(tmp_path, LIMITS + TOKENS) as running:
        page = look(running, wait_for="dialog[open]")
        page.page.fill("#token", VIEWER)
        page.page.keyboard.press("Enter")
        page.sees("vic (viewer)", "#tools")
        page.press("What if…", "#tools")
        page.page.evaluate("sessionStorage.setItem('quota-scheduler token', 'another')")
        page.press("Play it", "dialog")
        page.sees("not known any more", "dialog")
