"""Prices that come later: what was estimated, or charged at a wrong price, is charged anew wherever it was added up."""

from concurrent.futures import Future
from datetime import timedelta
from decimal import Decimal

import pytest

from quota_scheduler.core.cycle.requests import Release, Submit
from quota_scheduler.core.pricing import OwnPrice
from quota_scheduler.core.tickets.estimate import declared
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import PriceTerms, Usage
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service import reprice
from quota_scheduler.service.apply_prices import priced_events, priced_report, priced_ticket
from quota_scheduler.service.reprice import Repricing
from quota_scheduler.store import ledger, pruned, tickets
from tests.builders import MONDAY, MONTHLY, a_limit, a_session_limit, a_usage_event
from tests.service.world import fence

NOVA = {"claude-nova-9": OwnPrice(Decimal(1), Decimal(5))}
WRONG = {"claude-nova-9": OwnPrice(Decimal(10), Decimal(50))}
SIZE = Usage(input=100_000, output=10_000, requests=1)
MONTH = a_limit(10**9, id="month", unit=Unit.USD, schedule=MONTHLY)
SESSION = a_session_limit(10**9, unit=Unit.USD)


class Sweeper:
    """A world, the prices of its service, and the sweep over it."""

    def __init__(self, world, *limits, own=()):
        self.here = world(*limits)
        self.prices = Prices(dict(own))
        self.sweep = Repricing(
            self.here.store, self.do, self.prices, lambda: self.here.limits, forget=self.here.memory.forget
        )

    def do(self, work):
        future = Future()
        with self.here.store.transaction() as tx:
            future.set_result(work(tx))
        return future

    def record(self, *events):
        return self.here.record(*priced_events(events, self.prices))

    def until_done(self):
        """Sweep to the end; the doctor looks at what is left."""
        self.sweep.begin()
        corrected = 0
        while not self.sweep.is_through:
            corrected += self.sweep.go_on()
        self.here.check()
        return corrected

    def used(self):
        return {name: used / 1e6 for name, (used, _, _) in self.here.windows().items()}

    def totals(self):
        """Dollars and unpriced tokens: of totals by label, of rollups, and of runs."""
        with self.here.store.transaction() as tx:
            totals = [usage for _, _, usage, _ in ledger.totals(tx)]
            rollups = [usage for _, _, usage in ledger.hours(tx, MONDAY - timedelta(days=99))]
            runs = [run.usage for run in ledger.runs_since(tx, MONDAY - timedelta(days=99))]
        return [
            (round(sum(u.cost_usd for u in usages), 6), sum(u.unpriced_tokens for u in usages))
            for usages in (totals, rollups, runs)
        ]


def nova(key="e1", **changes):
    return a_usage_event(key=key, usage=SIZE, model="claude-nova-9", run=key, **changes)


def test_B6_a_price_that_is_added_corrects_what_was_estimated_everywhere(world):
    here = Sweeper(world, MONTH, SESSION)
    here.record(nova("e1", at=MONDAY - timedelta(hours=1)), nova("e2"))
    estimated = here.totals()
    here.prices.state(NOVA)
    assert (here.until_done(), here.used()) == (2, {"month": 0.3, "session": 0.3})
    assert estimated[0][1] == 220_000
    assert here.totals() == [(0.3, 0)] * 3


def test_B6_after_a_restart_with_the_price_it_is_the_same(world):
    here = Sweeper(world, MONTH)
    here.record(nova())
    here.here.kill()
    again = Repricing(here.here.store, here.do, Prices(NOVA), lambda: here.here.limits, forget=here.here.memory.forget)
    here.sweep = again
    assert (here.until_done(), here.used(), here.totals()[0]) == (1, {"month": 0.15}, (0.15, 0))


def test_a_lease_reports_what_has_no_price_as_estimated_and_no_sweep_corrects_it_to_the_same(world):
    here = Sweeper(world, MONTH)
    held = here.here.submit(1_000, model="claude-nova-9")
    report = priced_report(held.ticket.labels, (("claude-nova-9", SIZE),), MONDAY, here.prices)
    here.here.ask(Release(held.ticket.id, fence(held), report))
    assert columns(here, "estimated") == [(1,)]
    assert here.until_done() == 0


def columns(here, names):
    with here.here.store.transaction() as tx:
        return tx.rows(f"SELECT {names} FROM windows ORDER BY starts_at")


def test_B6_a_window_is_no_longer_called_estimated(world):
    here = Sweeper(world, MONTH)
    here.record(nova())
    before = columns(here, "estimated")
    here.prices.state(NOVA)
    here.until_done()
    assert (before, columns(here, "estimated")) == ([(1,)], [(0,)])


def test_B6_what_came_late_stays_as_late_as_it_was(world):
    here = Sweeper(world, a_limit(10**9, unit=Unit.USD))
    here.record(a_usage_event(key="first", usage=SIZE.costing(10**12)))
    here.here.wait(timedelta(days=1))
    here.record(nova())
    ((_, late), _) = before = columns(here, "used, late")
    here.prices.state(NOVA)
    here.until_done()
    assert len(before) == 2
    assert columns(here, "used, late")[0] == (1_150_000, late)


def test_B6_a_wrong_own_price_is_corrected_within_the_windows_that_are_open(world):
    here = Sweeper(world, a_limit(10**9, unit=Unit.USD), own=WRONG)
    here.record(nova(), nova("old", at=MONDAY - timedelta(days=3)))
    here.until_done()
    here.prices.state(NOVA)
    assert (here.until_done(), here.used(), here.totals()[0]) == (1, {"day": 0.15}, (1.65, 0))


@pytest.mark.parametrize(
    ("event", "usd"),
    [
        pytest.param({"cost": 7}, 7.0, id="a cost that was reported stays"),
        pytest.param({"cost": 0}, 0.15, id="a reported cost of 0 is none"),
        pytest.param({"cost": 0, "terms": PriceTerms("fast", "", "batch", 10)}, 0.25, id="on the terms that were kept"),
    ],
)
def test_B6_what_is_charged_anew(world, event, usd):
    here = Sweeper(world, MONTH, own=WRONG)
    changes = {"terms": event["terms"]} if "terms" in event else {}
    here.record(
        a_usage_event(usage=SIZE._replace(cost_microusd=event["cost"] * 10**6), model="claude-nova-9", **changes)
    )
    here.until_done()
    here.prices.state(NOVA)
    here.until_done()
    assert here.used() == {"month": usd}


def test_B6_a_sweep_goes_in_bounded_steps_and_ends(world, monkeypatch):
    monkeypatch.setattr(reprice, "STEP", 3)
    monkeypatch.setattr(reprice, "STEPS_AT_ONCE", 2)
    here = Sweeper(world, MONTH)
    here.record(*(nova(f"e{n}") for n in range(20)))
    here.prices.state(NOVA)
    here.sweep.begin()
    assert [here.sweep.go_on() for _ in range(6)] == [6, 6, 6, 2, 0, 0]
    assert here.used() == {"month": 3.0}


def test_B6_prices_that_are_the_same_change_nothing(world):
    here = Sweeper(world, MONTH, own=NOVA)
    here.record(nova())
    assert [here.until_done(), here.until_done()] == [0, 0]


def test_B6_what_was_pruned_keeps_its_cost_and_is_unpriced_no_more(world):
    here = Sweeper(world, MONTH)
    here.record(nova(at=MONDAY))
    with here.here.store.transaction() as tx:
        pruned.prune(tx, recorded_before=MONDAY + timedelta(days=1), keys_before=MONDAY)
    before = here.totals()[0][0]
    here.prices.state(NOVA)
    assert (here.until_done(), here.totals()[0]) == (0, (before, 0))


def test_B10_a_thousand_small_costs_add_up_in_windows_and_totals(world):
    here = Sweeper(world, a_limit(10**9, unit=Unit.USD))
    small = [a_usage_event(key=f"e{n}", usage=Usage(input=20, requests=1), provider="openai",
                           model="text-embedding-3-small", run="r") for n in range(1_000)]  # fmt: skip
    here.record(*small[:500])
    here.record(*small[500:], *small)
    assert (here.used(), here.totals()) == ({"day": 0.0004}, [(0.0004, 0)] * 3)


def test_B10_weights_of_single_tokens_add_up(world):
    here = world(a_limit(1_000, weights=(333, 0, 1000, 1000, 1000)))
    here.record(*(a_usage_event(key=f"e{n}", usage=Usage(input=1)) for n in range(100)))
    assert here.windows() == {"day": (33, 0, 0)}


@pytest.mark.parametrize(
    ("terms", "usd"),
    [
        pytest.param(PriceTerms(), 0.75, id="B7: plain"),
        pytest.param(PriceTerms(speed="fast"), 1.5, id="B7: fast"),
        pytest.param(PriceTerms(geo="us"), 0.825, id="B7: us"),
        pytest.param(PriceTerms(web_searches=50), 1.25, id="B8: searches"),
        pytest.param(PriceTerms(tier="batch"), 0.375, id="B7: batch"),
    ],
)
def test_what_a_response_says_about_its_price_is_charged_and_kept(world, terms, usd):
    here = Sweeper(world, MONTH)
    here.record(a_usage_event(usage=SIZE, model="claude-opus-5", terms=terms))
    here.until_done()
    with here.here.store.transaction() as tx:
        (event,) = ledger.between(tx, MONDAY, MONDAY + timedelta(seconds=1))
    assert (here.used(), event.terms) == ({"month": usd}, terms)


def test_an_event_is_priced_at_its_own_time_however_late_it_comes():
    size = Usage(input=300_000, requests=1)
    early, late = (
        a_usage_event(usage=size, model="claude-opus-4-6", at=at) for at in (MONDAY.replace(month=3, day=1), MONDAY)
    )
    costs = [event.usage.cost_usd for event in priced_events([early, late], Prices())]
    assert costs == [3.0, 1.5]


def test_B6_what_waits_is_estimated_anew(world):
    here = Sweeper(world, a_limit(20 * 10**6, unit=Unit.USD))
    here.record(a_usage_event(usage=SIZE.costing(15 * 10**12)))
    draft = here.here.a_submit(model="claude-nova-9", estimate=declared(SIZE.scaled(8, 1))).draft
    here.here.ask(Submit(priced_ticket(draft, MONDAY, here.prices)))
    here.prices.state(NOVA)
    here.until_done()
    with here.here.store.transaction() as tx:
        found = [(t.estimate.reserve.cost_usd, t.estimate.estimated_cost) for t in tickets.open_tickets(tx)]
    here.here.cycle()
    assert (found, list(here.here.tickets().values())) == ([(1.2, False)], ["offered"])


def test_B6_a_running_report_takes_the_price_that_is_known_by_then():
    guess = SIZE.costing(5 * 10**12)._replace(unpriced_tokens=110_000)
    known = SIZE.plus(Usage(input=1)).costing(15 * 10**10)
    assert guess.at_least(known) == known.at_least(guess) == known


def test_B6_prices_that_change_during_a_sweep_are_not_missed(world, monkeypatch):
    monkeypatch.setattr(reprice, "STEP", 3)
    monkeypatch.setattr(reprice, "STEPS_AT_ONCE", 1)
    here = Sweeper(world, MONTH, own=WRONG)
    here.record(*(nova(f"e{n}") for n in range(9)))
    here.until_done()
    here.sweep.begin()
    here.sweep.go_on()
    here.prices.state(NOVA)
    here.until_done()
    assert here.used() == {"month": 1.35}


def test_B6_a_window_that_nobody_has_touched_yet_is_filled_before_it_is_corrected(world):
    here = Sweeper(world, MONTH)
    here.record(nova(), a_usage_event(key="given", usage=SIZE.costing(10**12), model="claude-nova-9"))
    here.here.change(MONTH, a_limit(10**9, id="new", unit=Unit.USD))
    here.sweep = Repricing(
        here.here.store, here.do, here.prices, lambda: here.here.limits, forget=here.here.memory.forget
    )
    here.prices.state(NOVA)
    here.until_done()
    assert here.used() == {"month": 1.15, "new": 1.15}
