"""Every place of the page that shows what somebody else wrote, a hostile text in each: text, and no wider than a phone.

What the doors let in is the matter of ``test_hostile_texts``; here is shown what they would never let in: 500 letters,
control characters, markup, in the answers themselves.
"""

import pytest

from tests.page.looking import opened
from tests.page.rich import rich_in
from tests.page.swept import Filled, shown

driver = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
PHONE = {"viewport": {"width": 375, "height": 740}, "has_touch": True, "is_mobile": True}
PAGE, QUEUE, MORE = "/v1/page", "/v1/page/queue", "/v1/page/more"
PLACES = [
    # where it stands in an answer, where the page shows it, what is opened for it
    pytest.param(PAGE, "limits.*.limit", "#limits .name", "", id="names of limits"),
    pytest.param(PAGE, "limits.*.scope", "#limits .name", "", id="what limits are about"),
    pytest.param(PAGE, "limits.*.borrowed.*.from", "#limits .figures", "", id="who lends to a limit"),
    pytest.param(PAGE, "limits.*.lent.*.to", "#limits .figures", "", id="whom a limit lends to"),
    pytest.param(PAGE, "limits.*.mode", "#limits .state", "", id="modes"),
    pytest.param(PAGE, "limits.*.observed.freshness", "#limits .state", "", id="how fresh a provider's word is"),
    pytest.param(PAGE, "hold.reason", "#banner", "", id="why everything is held"),
    pytest.param(PAGE, "hold.who", "#banner", "", id="who holds everything"),
    pytest.param(PAGE, "problems.*", "#banner", "", id="problems of the service"),
    pytest.param(PAGE, "breakers.*.message", "#banner", "", id="refusals of a provider"),
    pytest.param(PAGE, "sources.*.source", "#banner", "", id="sources that are being read"),
    pytest.param(PAGE, "queue.reasons.*.words", "#answers", "", id="why most wait"),
    pytest.param(PAGE, "version", "#footer", "", id="the version"),
    pytest.param(PAGE, "you.name", "#tools", "", id="the name of a token"),
    pytest.param(PAGE, "alerts.*.rule", "#alerts", "", id="rules of alerts"),
    pytest.param(PAGE, "alerts.*.scope", "#alerts", "", id="what alerts are about"),
    pytest.param(PAGE, "alerts.*.severity", "#alerts", "", id="severities"),
    pytest.param(PAGE, "alerts.*.acknowledged_by", "#alerts", "", id="who takes care of an alert"),
    pytest.param(PAGE, "silences.*.matchers.*", "#alerts", "", id="what a silence is about"),
    pytest.param(PAGE, "silences.*.author", "#alerts", "", id="who silenced"),
    pytest.param(PAGE, "silences.*.comment", "#alerts", "", id="why somebody silenced"),
    pytest.param(PAGE, "running.*.labels.team", "#running", "", id="teams that run"),
    pytest.param(PAGE, "running.*.class", "#running", "", id="classes of what runs"),
    pytest.param(QUEUE, "rows.*.labels.team", "#queue", "", id="teams that wait"),
    pytest.param(QUEUE, "rows.*.labels.workflow", "#queue", "", id="workflows that wait"),
    pytest.param(QUEUE, "rows.*.why", "#queue", "", id="why a ticket waits"),
    pytest.param(QUEUE, "rows.*.limits.*", "#queue", "", id="limits that keep a ticket waiting"),
    pytest.param(MORE, "efficiency.*.workflow", "#efficiency", "", id="workflows"),
    pytest.param(MORE, "costs.timezone", "#costs", "", id="the zone of costs"),
    pytest.param(MORE, "sources.*.origin", "#sources", "", id="names of sources"),
    pytest.param(MORE, "sources.*.door", "#sources", "", id="doors of sources"),
    pytest.param(MORE, "loans.*.pool", "#loans", "", id="pools"),
    pytest.param(MORE, "loans.*.lender", "#loans", "", id="who lends"),
    pytest.param(MORE, "loans.*.borrower", "#loans", "", id="who borrows"),
    pytest.param(MORE, "audit.*.who", "#deeds", "", id="who did something by hand"),
    pytest.param(MORE, "audit.*.what", "#deeds", "", id="what was done"),
    pytest.param(MORE, "audit.*.detail.reason", "#deeds", "", id="why it was done"),
    pytest.param(MORE, "audit.*.detail.comment", "#deeds", "", id="what was said of it"),
    pytest.param(MORE, "audit.*.detail.matchers.*", "#deeds", "", id="what was silenced"),
    pytest.param(MORE, "audit.*.detail.limit", "#deeds", "", id="limits that were changed"),
    pytest.param(MORE, "audit.*.detail.fields.*", "#deeds", "", id="what they became"),
    pytest.param(QUEUE, "rows.*.key", "dialog", "#queue .open", id="keys of tickets that wait"),
    pytest.param(QUEUE, "rows.*.message", "dialog", "#queue .open", id="the sentence why it waits"),
    pytest.param(QUEUE, "rows.*.labels.model", "dialog", "#queue .open", id="models that are asked for"),
    pytest.param(QUEUE, "rows.*.counterfactuals.*.model", "dialog", "#queue .open", id="models that would fit"),
    pytest.param(PAGE, "running.*.key", "dialog", "#running .open", id="keys of leases"),
    pytest.param(PAGE, "limits.*.spent_by", "dialog", "#limits .open", id="who spends most"),
    pytest.param(PAGE, "limits.*.parent", "dialog", "#limits .open", id="the pool of a limit"),
]
SEEN = "(within) => [...document.querySelectorAll(within)].map((one) => one.textContent).join()"
WIDER = """(part) => [...document.querySelectorAll(`${part}, ${part} *`)]
  .filter((one) => !one.closest('svg, .scroll, .hidden') && one.getBoundingClientRect().right > 375.5)
  .map((one) => one.outerHTML.slice(0, 80))"""
"""What stands out to the right; tables scroll for themselves."""
AT = {place.id: place.values for place in PLACES}


def complete(path, document):
    """What this service has nothing of just now."""
    if path == PAGE:
        document["problems"] = ["-"]
        document["breakers"] = [{"message": "-"}]
        document["sources"] = [{"source": "-", "catching_up": True, "total_bytes": 9, "done_bytes": 4}]
        for row in document["limits"]:
            row["parent"] = row["parent"] or "-"
    if path == QUEUE:
        document["rows"][0]["labels"] |= {"model": "-", "workflow": "-", "agent": "-"}
        document["rows"][0] |= {"counterfactuals": [{"change": "model", "model": "-"}], "limits": ["-", "-"]}


@pytest.fixture(scope="module")
def filled(tmp_path_factory, browser):
    """The page on a phone, opened once, and with what each text of a place begins."""
    places = {
        answer: {name: where for name, (document, where, _, _) in AT.items() if document == answer}
        for answer in (PAGE, QUEUE, MORE)
    }
    answers = Filled(places, complete)
    with rich_in(tmp_path_factory.mktemp("rich")) as service:
        page = opened(browser, service.url, before=answers.into, **PHONE)
        page.sees("Done by hand", "#more-right")
        yield page, answers.begins
        assert [one for one in page.complaints if "404" not in one] == []  # no limit has such a name
        page.page.unroute_all(behavior="ignoreErrors")
        page.close()


def open_facts(page, opener, place):
    """Open a dialog, as often as it takes: the page draws rows anew, and one that is drawn under the finger is gone."""
    for patience in (2_000, 4_000, 15_000):
        page.keyboard.press("Escape")
        page.locator(opener).nth(place).click()
        try:
            page.locator("dialog .facts").wait_for(timeout=patience)
            return
        except driver.TimeoutError:
            if patience == 15_000:
                raise


@pytest.mark.parametrize(("answer", "where", "within", "opener"), PLACES)
def test_a_hostile_text_is_text_there(filled, request, answer, where, within, opener):
    page, begins = filled
    name = request.node.callspec.id
    for place in range(page.page.locator(opener).count() if opener else 1):
        if opener:
            open_facts(page.page, opener, place)
        seen = page.page.evaluate(SEEN, within)
        if any(shown(begin) in seen for begin in begins[name]):
            break
    else:
        pytest.fail(f"{where} of {answer} does not stand in {within}")
    assert page.page.evaluate(WIDER, within.split()[0]) == []
    assert page.page.evaluate("document.documentElement.scrollWidth") == 375
    assert page.page.locator("body img, body script, body iframe").count() == 0
    assert page.page.evaluate("window.alerted") is None
    page.page.keyboard.press("Escape")
