"""What usage costs: the operator's own prices first, then the genai-prices table that ships with the package.

    own price ──► table: host, provider, vendor ──► elsewhere in the table ──► nearest kin + 10 % ──► LAST_RESORT
        exact              exact                        estimated                  estimated           estimated

A cost is never 0 merely because nobody knows it. What a response says about its price (speed, geography, tier, web
searches) is charged on top. Rates are kept per provider, model, day and terms, misses too, up to ``MOST_REMEMBERED``.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import partial

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.names import canonical_model, canonical_provider, is_fast, is_hosted, vendor_of
from quota_scheduler.core.pricing import OwnPrice, Priced, PriceRates, highest
from quota_scheduler.core.usage import ORDINARY, PriceTerms, Usage
from quota_scheduler.price_table import BATCH, FAST, TIER, Model, Table, table_version

LAST_RESORT = OwnPrice(*(Decimal(usd) for usd in ("10", "50", "1", "12.5", "20"))).rates()
"""Where not even the provider is known, or the table does not load: the list price of claude-fable-5, the dearest model
that Anthropic sells today."""
ABOVE_KIN = Fraction(11, 10)
"""What an unknown model costs beside its kin: the largest surcharge that a name does not tell, that of a region."""
FAST_FACTOR = Fraction(2)
"""Fast mode without a price of its own: that of every model that has one."""
BATCH_FACTOR = Fraction(1, 2)
"""Batches without a price of their own: what every vendor that sells them says."""
GEO_FACTOR = Fraction(11, 10)
"""Inference kept in the US by Anthropic's API, all kinds of tokens."""
READING = 3
"""Raise it with every change of what a known model costs here, so that what was charged before is charged anew."""
MOST_REMEMBERED = 10_000
"""Answers kept, about 10 MB: far above the models and terms a fleet uses, and a bound on what clients can invent."""

Found = tuple[tuple[PriceRates, ...], bool]
"""Rates of which the dearest for a usage holds, and whether they are a guess; none where they change by the hour."""


class Prices:
    """Prices of model calls. ``problem`` is one sentence when the table cannot be loaded; then costs are estimates.

    ``stated`` counts how often the operator's prices were stated: other ones hold when it has changed.
    """

    def __init__(self, own: Mapping[str, OwnPrice] | None = None, *, load: "Callable[[], Table] | None" = None) -> None:
        """``own`` maps a model, or ``provider/model``, to the operator's price; it wins over the table."""
        self.problem = ""
        self._load = load or Table.load
        self._table: Table | None = None
        self._opening = threading.Lock()
        self.stated = 0
        self.state(own or {})

    def state(self, own: Mapping[str, OwnPrice]) -> None:
        """Let other prices of the operator hold from now on."""
        spelt = {name.lower(): price.rates() for name, price in own.items()}
        self._own = {_one_name(name): rates for name, rates in spelt.items()} | spelt
        self._remembered: dict[tuple[str, str, int, PriceTerms], Found] = {}
        self.stated += 1

    @property
    def fingerprint(self) -> str:
        """Changes whenever something may have another price: own ones, the table, or how it is read here."""
        own = json.dumps(sorted((name, repr(rates)) for name, rates in self._own.items()))
        return hashlib.sha256(f"{READING} {table_version()} {own}".encode()).hexdigest()[:16]

    def price(self, labels: Labels, usage: Usage, at: datetime, terms: PriceTerms = ORDINARY) -> Priced:
        """The cost of one usage at an instant; ``estimated`` when its own price is not known."""
        if at.tzinfo is not UTC:
            at = at.astimezone(UTC)
        rates, estimated = self.rates(labels, at, terms)
        if not rates:
            rates, estimated = self._find(labels.provider, labels.model, at, terms, by_hour=True)
        return Priced(highest(rates, usage, terms.web_searches), estimated)

    def rates(self, labels: Labels, at: datetime, terms: PriceTerms = ORDINARY) -> Found:
        """The rates of the whole UTC day of an instant, and whether they are a guess; none where they change in it."""
        of_rates = terms._replace(web_searches=0) if terms.web_searches else terms
        key = (labels.provider, labels.model, at.toordinal(), of_rates)
        remembered = self._remembered  # by several threads, each of which may begin a new one
        answer = remembered.get(key)
        if answer is None:
            day = at.replace(hour=0, minute=0, second=0, microsecond=0)
            answer = self._find(labels.provider, labels.model, day, terms, by_hour=False)
            if len(remembered) >= MOST_REMEMBERED:
                remembered = self._remembered = {}
            remembered[key] = answer
        return answer

    def _find(self, provider: str, name: str, at: datetime, terms: PriceTerms, *, by_hour: bool) -> Found:
        """The rates at an instant; none of a day on which they change by the hour."""
        if is_fast(name):
            terms = terms._replace(speed="fast")
        if own := self._own_rates(provider, name, terms):
            return (own,), False
        table = self._open()
        if table is None:
            return (LAST_RESORT,), True
        model, estimated = table.find(provider, name)
        if model is None:
            return self._like_kin(table, provider, name, at, terms)
        if model.changes_during_day and not by_hour:
            return (), False
        if (standard := model.rates(at)) is None:
            return self._like_kin(table, provider, name, at, terms)
        rates, known = _on_terms(standard, partial(model.rates, at), terms, us_costs_more=_is_claude(provider, name))
        return (rates,), estimated or not known

    def _own_rates(self, provider: str, name: str, terms: PriceTerms) -> PriceRates | None:
        """The operator's price: as stated for the very spelling, else for the model, on the terms of the response."""
        lower = name.lower()
        for spelling in (f"{provider.lower()}/{lower}", lower):
            if own := self._own.get(spelling):
                terms = terms._replace(speed="") if is_fast(name) else terms
                break
        else:
            own = self._own.get(_one_name(f"{provider}/{name}")) or self._own.get(canonical_model(name))
        if own is None:
            return None
        return _on_terms(own, lambda _: None, terms, us_costs_more=_is_claude(provider, name))[0]

    @staticmethod
    def _like_kin(table: Table, provider: str, name: str, at: datetime, terms: PriceTerms) -> Found:
        """What the nearest kin cost, each on these terms, and a little more."""
        us_costs_more = _is_claude(provider, name)
        kin = []
        for model, standard in table.kin(provider, name, at):
            rates, _ = _on_terms(standard, partial(model.rates, at), terms, us_costs_more=us_costs_more)
            kin.append(rates.times(ABOVE_KIN))
        return tuple(dict.fromkeys(kin)) or (LAST_RESORT,), True

    def warm(self) -> None:
        """Begin to load the table beside other work, so that the first pass need not wait for it."""
        threading.Thread(target=self._open, name="prices-warm", daemon=True).start()

    def _open(self) -> "Table | None":
        with self._opening:
            if self._table is None and not self.problem:
                try:
                    self._table = self._load()
                except Exception as error:
                    self.problem = (
                        f"the price table cannot be loaded ({type(error).__name__}: {error}): costs are estimated at "
                        "the dearest known price; reinstall genai-prices, or state prices under models in the config"
                    )
        return self._table


def _one_name(name: str) -> str:
    """A key of the operator's prices in its one spelling: ``model`` or ``provider/model``."""
    provider, slash, model = name.partition("/")
    return f"{canonical_provider(provider)}/{canonical_model(model)}" if slash else canonical_model(name)


def _is_claude(provider: str, name: str) -> bool:
    """Whether a call is one of Anthropic's own API, which charges for geography; hosts have regions in their names."""
    return canonical_provider(provider) == "anthropic" and not is_hosted(name) and vendor_of(name) == "anthropic"


def _on_terms(
    standard: PriceRates,
    variant: Callable[[Mapping[str, str]], PriceRates | None],
    terms: PriceTerms,
    *,
    us_costs_more: bool,
) -> tuple[PriceRates, bool]:
    """Rates on the terms of a response, and whether they are known; ``variant`` is the table's own price for terms."""
    if terms[:3] == ORDINARY[:3]:
        return standard, True
    rates, known = standard, True
    if terms.speed == "fast":
        own = variant(FAST)
        rates, known = (own, True) if own else (standard.times(FAST_FACTOR), False)
    if terms.tier == "batch":
        own = variant(BATCH) if rates is standard else None
        rates = own or rates.times(BATCH_FACTOR)
    elif terms.tier and rates is standard:
        rates = variant({TIER: terms.tier}) or rates  # a tier that the table does not know is sold at the list price
    if terms.geo == "us" and us_costs_more:
        rates = rates.times(GEO_FACTOR)
    return rates, known


__all__ = ["LAST_RESORT", "Model", "Prices"]
