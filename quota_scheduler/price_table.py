"""The genai-prices data that ships in the wheel. Only this file knows it; it is imported when first needed (0.2 s)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler import price_corrections as corrections
from quota_scheduler.core.kin import ModelFamilies
from quota_scheduler.core.names import canonical_model, canonical_provider, is_hosted, vendor_of
from quota_scheduler.core.pricing import WEB_SEARCH, KindRates, PriceRates, Tier, per_million
from quota_scheduler.core.usage import KINDS

TIER = "service_tier"
FAST: Mapping[str, str] = {"speed": "fast", TIER: "fast"}
BATCH: Mapping[str, str] = {"processing": "batch"}
"""What the table calls the terms of a response."""
_PRICE_KEYS = {
    "input": ("input_mtok",),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "output": ("output_mtok",),
}
"""Which of the table's prices a kind of token is charged at: the first one the model has."""
_PER_REQUEST, _PER_SEARCH = "requests_kcount", "web_searches_kcount"
_HOST = "bedrock"
_ELSEWHERE = {"alibaba": ("openrouter", "qwen/")}
"""Vendors that the table has under another provider, with a path in front."""
CACHE_DISCOUNT = 10
"""Reading from a cache costs this part of the input almost everywhere (Anthropic, OpenAI, Google)."""
MOST_DEARER = 2
"""Times the newest version's price that an older one may cost and still speak for the next one."""
MOST_REMEMBERED = 4096
"""Models and sellers whose entries are remembered."""
HOURS = tuple(timedelta(hours=hour) for hour in range(24))


def table_version() -> str:
    """The version of the data; empty where it is not installed."""
    from importlib import metadata  # 4 ms that only whoever asks pays for

    try:
        return metadata.version("genai-prices")
    except metadata.PackageNotFoundError:
        return ""


@dataclass(frozen=True)
class Model:
    """One model of the table, as ``seller`` sells it."""

    info: Any
    seller: str = ""

    @property
    def changes_during_day(self) -> bool:
        """Whether it costs less at certain hours."""
        prices = self.info.prices
        return isinstance(prices, list) and any(hasattr(one.constraint, "start_time") for one in prices)

    def rates(self, at: datetime, terms: Mapping[str, str] | None = None) -> PriceRates | None:
        """Its rates at an instant; None where the table knows the model but not what it costs, or costs on terms.

        The table answers with the standard price where it has none for terms.
        """
        if stated := corrections.stated(self.seller, self.info.id, at):
            return None if terms else _rates(stated)
        instant, factor = corrections.instant_and_factor(self.seller, self.info.id, at)
        standard = self.info.get_prices(instant)
        prices = self.info.get_prices(instant, dict(terms)) if terms else standard
        if terms and prices == standard:
            return None
        rates = _rates(prices.__dict__, is_claude=vendor_of(self.info.id) == "anthropic")
        return rates.times(Fraction(factor)) if rates and factor != 1 else rates

    def rates_as_kin(self, day: datetime) -> list[PriceRates]:
        """Its rates at every hour of a day, to charge another model at.

        What was read from a cache is charged a tenth of the input where this model has no cache: the other one has.
        """
        instants = [day + hour for hour in HOURS] if self.changes_during_day else [day]
        rates_of_day = {}
        for at in instants:
            prices = self.info.get_prices(at).__dict__
            if rates := self.rates(at):
                rates_of_day[rates] = rates if prices.get("cache_read_mtok") is not None else _with_cache(rates)
        return list(rates_of_day.values())


class Table:
    """The models of the table, found by any of their names."""

    def __init__(self, snapshot: Any) -> None:
        self._snapshot = snapshot
        self.find = lru_cache(MOST_REMEMBERED)(self._find)
        self._provider = lru_cache(MOST_REMEMBERED)(self._provider_of)
        self._sellers: dict[str, _Sold] = {}
        self._by_id: dict[str, list[Any]] = {}

    @staticmethod
    def load() -> "Table":
        """Import the data that ships in the wheel; nothing is fetched."""
        from genai_prices.data_snapshot import get_snapshot

        return Table(get_snapshot())

    def _find(self, provider: str, model: str) -> tuple[Model | None, bool]:
        """The model that an id of a provider means, and whether its price is only that of somebody else.

        An id with a vendor and a dot in front is Bedrock's, whoever sends it: its region costs a tenth more. What a
        provider does not sell is its vendor's: a client may be pointed at another one.
        """
        spellings = list(_spellings(model))
        sellers = [_HOST] if is_hosted(model) else []
        sellers += [provider, vendor_of(model)]
        for seller in dict.fromkeys(canonical_provider(seller) for seller in sellers if seller):
            holder, path = _ELSEWHERE.get(seller, (seller, ""))
            if model_sold := self._sold_by(holder, [path + spelling for spelling in spellings]):
                return model_sold, False
        if not vendor_of(model) and (model_sold := self._by_name(spellings)):
            return model_sold, False
        return self._anywhere(spellings), True

    def _sold_by(self, seller: str, spellings: list[str]) -> Model | None:
        if (provider := self._provider(seller)) is None:
            return None
        everybody = self._snapshot.providers
        for spelling in spellings:
            if info := provider.find_model(spelling, all_providers=everybody):
                return Model(info, provider.id)
        return None

    def _by_name(self, spellings: list[str]) -> Model | None:
        """A model whose name says to the table whose it is."""
        for spelling in spellings:
            try:
                return Model(self._snapshot.find_provider_model(spelling, None, None, None)[1])
            except LookupError:
                continue
        return None

    def _anywhere(self, spellings: list[str]) -> Model | None:
        """The dearest model of that very name, whoever sells it."""
        if not self._by_id:
            for provider in self._snapshot.providers:
                for info in provider.models:
                    self._by_id.setdefault(canonical_model(info.id), []).append(info)
        infos = [info for spelling in spellings for info in self._by_id.get(spelling, ())]
        return Model(max(infos, key=_input_price)) if infos else None

    def _provider_of(self, provider: str) -> Any | None:
        try:
            return self._snapshot.find_provider(None, provider, None)
        except LookupError:
            return None

    def kin(self, provider: str, model: str, day: datetime) -> Iterator[tuple[Model, PriceRates]]:
        """The models that an unknown one is like, with their rates of a day; of its vendor, else of its provider.

        A version before the newest counts up to ``MOST_DEARER`` times the newest's input price: beyond it is a relic.
        """
        for seller in filter(None, (vendor_of(model), canonical_provider(provider))):
            sold = self._sold(seller)
            newest, *older = [[sold.by_id[id] for id in ids] for ids in sold.families.kin(model)] or [[]]
            most = MOST_DEARER * max(map(_input_price, newest), default=Decimal(0))
            kin = newest + [info for infos in older for info in infos if _input_price(info) <= most]
            if kin:
                models = [Model(info, sold.holder) for info in kin]
                yield from ((model, rates) for model in models for rates in model.rates_as_kin(day))
                return

    def _sold(self, seller: str) -> "_Sold":
        if seller not in self._sellers:
            holder, path = _ELSEWHERE.get(seller, (seller, ""))
            models = getattr(self._provider(holder), "models", ())
            sold = {info.id: info for info in models if info.id.startswith(path) and _input_price(info)}
            self._sellers[seller] = _Sold(sold, ModelFamilies(sold), holder)
            if len(self._sellers) > MOST_REMEMBERED:
                self._sellers.clear()
                return self._sold(seller)
        return self._sellers[seller]


class _Sold(Struct, frozen=True):
    """What one seller has that is charged by the token."""

    by_id: Mapping[str, Any]
    families: ModelFamilies
    holder: str


def _input_price(info: Any) -> Decimal:
    """What a model asks for fresh input today, to compare models by; nothing for those that are not charged so."""
    prices = info.prices[-1].prices if isinstance(info.prices, list) else info.prices
    price = prices.__dict__.get("input_mtok")
    return Decimal(getattr(price, "base", price) or 0)


def _spellings(name: str) -> Iterator[str]:
    """An id as given, without its path, and in its one name."""
    lower = name.strip().lower().partition("[")[0]
    last = lower.rpartition("/")[2]
    yield from dict.fromkeys(spelling for spelling in (lower, last, canonical_model(name)) if spelling)


def _rates(prices: Mapping[str, Any], *, is_claude: bool = False) -> PriceRates | None:
    """Turn the table's prices of one model into rates."""
    fresh = prices.get("input_mtok")
    if is_claude and isinstance(fresh, Decimal) and prices.get("cache_write_1h_mtok") is None:
        prices = {**prices, "cache_write_1h_mtok": fresh * corrections.CLAUDE_HOUR}
    by_kind = [next((prices[key] for key in _PRICE_KEYS[kind] if prices.get(key) is not None), None) for kind in KINDS]
    request, search = prices.get(_PER_REQUEST) or Decimal(0), prices.get(_PER_SEARCH) or WEB_SEARCH * 1000
    if request is None and all(price is None for price in by_kind):
        return None
    steps = sorted({tier.start for price in by_kind for tier in getattr(price, "tiers", ())})
    tiers = tuple(Tier(step, _kinds(by_kind, step)) for step in steps)
    return PriceRates(_kinds(by_kind, -1), tiers, per_million(request * 1000), per_million(search * 1000))


def _with_cache(rates: PriceRates) -> PriceRates:
    def cached(kinds: KindRates) -> KindRates:
        return kinds[0], kinds[0] // CACHE_DISCOUNT, *kinds[2:]

    return replace(rates, kinds=cached(rates.kinds), tiers=tuple(Tier(t.above, cached(t.kinds)) for t in rates.tiers))


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
