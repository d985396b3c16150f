"""The page in a real browser: what a person sees and does."""

import pytest

from tests.page.seen import seen_in
from tests.shell.edge import event, ticket

LIMITS = """
timezone: Europe/Berlin
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1M,
     window: {every: day, timezone: America/New_York}}
  - {id: runs, match: {provider: anthropic}, unit: leases, amount: 2}
"""


@pytest.fixture
def service(tmp_path):
    with seen_in(tmp_path, LIMITS) as running:
        yield running


def test_one_look_answers(service, look):
    service.ask("POST", "/v1/tickets", [ticket(f"k{n}", 1000) for n in range(5)])
    service.tick()
    page = look(service)
    page.sees("daily", "#limits")
    page.sees("America/New_York", "#limits")
    page.sees("too many run at once", "#queue")
    page.sees("3", "#answers .answer:nth-child(2) .main")
    page.sees("2", "#answers .answer:nth-child(3) .main")
    assert all(url.startswith(service.url) for url in page.asked)


def test_everything_is_held_and_goes_on(service, look):
    page = look(service)
    page.press("Hold everything")
    page.sees("Nothing new starts", "dialog")
    page.press("Hold everything", "dialog")
    page.sees("Everything is held by local", "#banner")
    service.ask("POST", "/v1/tickets", [ticket(f"k{n}", 1000) for n in range(5)])
    page.press("Let everything go on")
    page.sees("2 tickets would start: 2 normal.", "dialog")
    page.press("Let everything go on", "dialog")
    page.misses("Everything is held", "#banner")
    assert [row["what"] for row in service.ask("GET", "/v1/audit")["audit"]] == ["hold.ended", "hold.all"]


def test_what_is_used_arrives_without_reload(service, look):
    page = look(service)
    service.ask("POST", "/v1/usage", [event("e1", 400_000, at=service.ask("GET", "/v1/queue")["at"])])
    service.tick()
    page.sees("40 %", "#limits .figures")
