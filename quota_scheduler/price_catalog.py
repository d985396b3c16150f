"""What usage costs: the operator's own prices first, then the genai-prices table that ships with the package.

    own price ──► table, by provider and model and day ──► dearest model of the provider ──► LAST_RESORT
        exact                  exact                            estimated                     estimated

A cost is never 0 merely because nobody knows it. Only this file knows genai-prices, and it is imported when the first
price is asked for (0.2 s). Rates are kept per provider, model and day: a hundred thousand events take half a second.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.pricing import OwnPrice, Priced, PriceRates, Tier, dearest, highest, per_million
from quota_scheduler.core.usage import KINDS, Usage

LAST_RESORT = OwnPrice(Decimal(15), Decimal(75), Decimal("1.5"), Decimal("18.75"), Decimal(30)).rates()
"""Where not even the provider is known, or the table does not load: claude-opus-4-1, Anthropic's dearest list price."""

_PRICE_KEYS = {
    "input": ("input_mtok",),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "output": ("output_mtok",),
}
"""Which of the table's prices a kind of token is charged at: the first one the model has."""
_PER_REQUEST = "requests_kcount"
_FAST = "-fast"
_FAST_CONTEXT = {"speed": "fast", "service_tier": "fast"}
_CONTEXT_SUFFIX = re.compile(r"\[[^\]]*\]$")
_VENDOR_PREFIX = re.compile(r"^(?:[a-z-]+\.)+(?=[a-z])")


class Prices:
    """Prices of model calls. ``problem`` is one sentence when the table cannot be loaded; then costs are estimates."""

    def __init__(self, own: Mapping[str, OwnPrice] | None = None, *, load: "Callable[[], Table] | None" = None) -> None:
        """``own`` maps a model, or ``provider/model``, to the operator's price; it wins over the table."""
        self.problem = ""
        self._own = {name.lower(): price.rates() for name, price in (own or {}).items()}
        self._load = load or Table.load
        self._table: Table | None = None
        self._rates: dict[tuple[str, str, int], tuple[tuple[PriceRates, ...], bool]] = {}

    def price(self, labels: Labels, usage: Usage, at: datetime) -> Priced:
        """The cost of one usage at an instant, to the micro-dollar; ``estimated`` when its own price is not known."""
        at = at.astimezone(UTC)
        key = labels.provider, labels.model, at.toordinal()
        known = self._rates.get(key)
        if known is None:
            known = self._rates[key] = self._find(labels, at.replace(hour=0, minute=0, second=0, microsecond=0))
        rates, estimated = known
        return Priced(highest(rates or self._at_this_hour(labels, at), usage), estimated)

    def _find(self, labels: Labels, day: datetime) -> tuple[tuple[PriceRates, ...], bool]:
        """The rates of a day and whether they are a guess; none when they change during the day."""
        for name in (f"{labels.provider}/{labels.model}", labels.model):
            if own := self._own.get(name.lower()):
                return (own,), False
        table = self._open()
        if table is None:
            return (LAST_RESORT,), True
        if model := table.find(labels.provider, labels.model):
            if model.changes_during_day:
                return (), False
            if rates := model.rates(day):
                return (rates,), False
        return table.dearest(labels.provider, day) or (LAST_RESORT,), True

    def _at_this_hour(self, labels: Labels, at: datetime) -> tuple[PriceRates, ...]:
        table = self._open()
        model = table.find(labels.provider, labels.model) if table else None
        rates = model.rates(at) if model else None
        return (rates or LAST_RESORT,)

    def _open(self) -> "Table | None":
        if self._table is None and not self.problem:
            try:
                self._table = self._load()
            except Exception as error:
                self.problem = (
                    f"the price table cannot be loaded ({type(error).__name__}: {error}): costs are estimated at the "
                    "dearest known price; reinstall genai-prices, or state prices under models in the config"
                )
        return self._table


@dataclass(frozen=True)
class Model:
    """One model of the table, and the request context its id implied."""

    info: Any
    context: Mapping[str, str] | None = None

    @property
    def changes_during_day(self) -> bool:
        """Whether it costs less at certain hours."""
        prices = self.info.prices
        return isinstance(prices, list) and any(hasattr(one.constraint, "start_time") for one in prices)

    def rates(self, at: datetime) -> PriceRates | None:
        """Its rates at an instant; None when the table knows the model but not what it costs this way.

        The table answers with the standard price where it has none for a context, which would be too low.
        """
        standard = self.info.get_prices(at)
        prices = self.info.get_prices(at, self.context) if self.context else standard
        return None if self.context and prices == standard else _rates(prices.__dict__)


class Table:
    """The genai-prices data."""

    def __init__(self, snapshot: Any) -> None:
        self._snapshot = snapshot
        self.find = lru_cache(maxsize=4096)(self._find)

    @staticmethod
    def load() -> "Table":
        """Import the data that ships in the wheel; nothing is fetched."""
        from genai_prices.data_snapshot import get_snapshot

        return Table(get_snapshot())

    def _find(self, provider: str, model: str) -> Model | None:
        """The model a provider's id means, cleaned of context suffixes and vendor prefixes if it must be."""
        name = _CONTEXT_SUFFIX.sub("", model.strip().lower())
        if not name.endswith(_FAST):
            return self._lookup(provider, name)
        slow, itself = self._lookup(provider, name.removesuffix(_FAST)), self._lookup(provider, name)
        if slow is None or (itself is not None and itself.info is not slow.info):
            return itself
        return Model(slow.info, _FAST_CONTEXT)

    def _lookup(self, provider: str, name: str) -> Model | None:
        for known in dict.fromkeys((provider, None)):
            for candidate in _spellings(name):
                try:
                    return Model(self._snapshot.find_provider_model(candidate, None, known or None, None)[1])
                except LookupError:
                    continue
            if provider and self._has(provider):
                break
        return None

    def _has(self, provider: str) -> bool:
        try:
            return bool(self._snapshot.find_provider(None, provider, None))
        except LookupError:
            return False

    def dearest(self, provider: str, day: datetime) -> tuple[PriceRates, ...]:
        """The rates of a provider that no other of its models exceeds; one or the other is dearest for any usage."""
        if not provider or not self._has(provider):
            return ()
        models = self._snapshot.find_provider(None, provider, None).models
        return dearest(rates for info in models if (rates := Model(info).rates(day)))


def _spellings(name: str) -> Iterator[str]:
    """An id as given, without a path in front, and without a region and vendor in front (``us.anthropic.claude-…``)."""
    last = name.rpartition("/")[2]
    yield from dict.fromkeys(spelling for spelling in (name, last, _VENDOR_PREFIX.sub("", last)) if spelling)


def _rates(prices: Mapping[str, Any]) -> PriceRates | None:
    """Turn the table's prices of one model into rates."""
    by_kind = [next((prices[key] for key in _PRICE_KEYS[kind] if prices.get(key) is not None), None) for kind in KINDS]
    request = prices.get(_PER_REQUEST)
    if request is None and all(price is None for price in by_kind):
        return None
    steps = sorted({tier.start for price in by_kind for tier in getattr(price, "tiers", ())})
    tiers = tuple(Tier(step, _kinds(by_kind, step)) for step in steps)
    return PriceRates(_kinds(by_kind, -1), tiers, request=per_million((request or Decimal(0)) * 1000))


def _kinds(by_kind: list[Any], step: int) -> tuple[int, int, int, int, int]:
    """The rates of requests whose input side lies just above a step."""
    fresh, read, write_5m, write_1h, out = (per_million(_at_step(price, step)) for price in by_kind)
    return fresh, read, write_5m, write_1h, out


def _at_step(price: Any, step: int) -> Decimal:
    if price is None:
        return Decimal(0)
    if isinstance(price, Decimal):
        return price
    reached: Decimal = next((tier.price for tier in reversed(price.tiers) if tier.start <= step), price.base)
    return reached
