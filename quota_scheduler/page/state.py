"""What the page shows, from the documents that the API answers elsewhere: no figure is made here.

Limits come without what only one of them needs when it is opened (``/v1/limits/{limit}/forecast`` has that), and with
a fan of few points each: two hundred of them stay below 60 KB packed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.instants import iso, iso_or_none
from quota_scheduler.core.readings.documents import forecast_document, limit_document
from quota_scheduler.core.readings.glance import REASONS, by_urgency
from quota_scheduler.core.readings.readings import LimitReading, QueueReading, Readings, SourceReading
from quota_scheduler.core.units import Unit

FAN_POINTS = 8
"""Points of a fan in a row of limits; the chart of one limit has all."""
FAN_QUANTILES = (0.1, 0.5, 0.9)
"""Low, middle and high of the fan; between low and high it ends eight times of ten."""
OF_ONE = ("quality", "level_caused_at", "run_tokens_mean")
OF_ONE_FORECAST = ("track_record", "explained", "seed", "daily_level", "known", "remaining_pace", "exhaustion_between")
"""What only the view of a single limit shows."""
Document = dict[str, Any]


class ForecastShown(Struct, frozen=True):
    """What a row shows of a forecast, and of what: the same object until a limit is forecast anew, or used."""

    forecast: Forecast
    amount: int
    figures: Document
    fan: list[list[Any]] | None


class ForecastRows(Struct):
    """What rows show of forecasts, made once for each: two thirds of the time that two hundred limits take."""

    _shown: dict[str, ForecastShown] = field(default_factory=dict)

    def of(self, reading: LimitReading) -> ForecastShown | None:
        """What one limit's row shows; None where it has no windows."""
        forecast, amount = reading.projection.forecast, reading.balance.amount
        if forecast is None:
            return None
        shown = self._shown.get(reading.limit)
        if shown is None or shown.forecast is not forecast or shown.amount != amount:
            figures = forecast_document(reading) or {}
            kept = {name: value for name, value in figures.items() if name not in OF_ONE_FORECAST}
            shown = ForecastShown(forecast, amount, kept, fan_row(reading))
            self._shown[reading.limit] = shown
        return shown

    def keep(self, readings: Readings) -> None:
        """Forget limits that are no more."""
        staying = {reading.limit for reading in readings.limits}
        self._shown = {name: shown for name, shown in self._shown.items() if name in staying}


def page_document(
    readings: Readings,
    forecasts: ForecastRows,
    *,
    alerts: Document,
    silences: Document,
    turns: Document,
    more: Mapping[str, Any],
) -> Document:
    """Everything that is seen without opening anything, the most urgent limit first."""
    return {
        "at": iso(readings.at),
        "limits": by_urgency(limit_row(reading, forecasts) for reading in readings.limits),
        "queue": queue_summary(readings.queue),
        "sources": [source_row(source) for source in readings.sources],
        "last_usage": {provider: iso(at) for provider, at in readings.last_usage},
        **alerts,
        **silences,
        **turns,
        **more,
    }


def limit_row(reading: LimitReading, forecasts: ForecastRows) -> Document:
    """One limit as a row of the page."""
    shown = forecasts.of(reading)
    whole = limit_document(reading, forecast_of=lambda _: shown.figures if shown else None)
    document = {name: value for name, value in whole.items() if name not in OF_ONE}
    used_today, usual = reading.balance.used_today, reading.balance.usual_today
    scale = reading.unit.base
    return {
        **document,
        "parent": reading.parent or None,
        "used_today": used_today / scale,
        "usual_today": None if usual is None else usual / scale,
        "burn": _burn(reading),
        "fan": shown.fan if shown else None,
    }


def _burn(reading: LimitReading) -> float | None:
    """The fastest burn of what is left, 1 being on pace; None while a window is too young for one."""
    return max((round(burn.remaining, 2) for burn in reading.projection.burns), default=None)


def fan_row(reading: LimitReading) -> list[list[Any]] | None:
    """A few points of the fan: instant, low, middle, high, in the limit's unit; None where there is none to believe."""
    forecast = reading.projection.forecast
    if forecast is None or not forecast.sufficient:
        return None
    points = forecast.fan(FAN_QUANTILES)
    scale, places = reading.unit.base, 2 if reading.unit is Unit.USD else 0
    return [[iso(at), *(round(value / scale, places) for value in values)] for at, values in _some(points)]


def _some(points: Sequence[Any]) -> list[Any]:
    """So many of the points that a line through them looks the same: the first, the last, and even steps between."""
    if len(points) <= FAN_POINTS:
        return list(points)
    step = (len(points) - 1) / (FAN_POINTS - 1)
    return [points[round(place * step)] for place in range(FAN_POINTS)]


def queue_summary(queue: QueueReading | None) -> Document | None:
    """Who waits by class and why, as of the last tick; None while nobody has looked."""
    if queue is None:
        return None
    return {
        "waiting": sum(one.waiting for one in queue.classes),
        "classes": [
            {"class": one.priority, "waiting": one.waiting, "oldest_at": iso_or_none(one.oldest_at)}
            for one in queue.classes
        ],
        "reasons": [
            {"reason": reason, "words": REASONS.get(reason, reason), "waiting": waiting}
            for reason, waiting in sorted(queue.reasons, key=lambda pair: -pair[1])
        ],
        "held": [
            {"limit": one.limit, "words": REASONS.get(one.reason, one.reason), "class": one.priority,
             "waiting": one.waiting, "until": iso(one.until)}
            for one in sorted(queue.held, key=lambda one: -one.waiting)[:20]
        ],
    }  # fmt: skip


def source_row(source: SourceReading) -> Document:
    """One source of usage: how far reading it is behind."""
    return {
        "source": source.source,
        "lag_seconds": source.lag_seconds,
        "catching_up": source.catching_up,
        "errors": source.errors,
        "files": source.files,
        "done_bytes": source.done_bytes,
        "total_bytes": source.total_bytes,
    }


def waiting_row(row: Document, answer: Mapping[str, Any]) -> Document:
    """One waiting ticket with what was decided about it: why it waits in a few words and in a sentence, and until when.

    ``answer`` is what ``GET /v1/tickets/{ticket}`` says of it. Of several limits that keep it waiting, that comes
    first which ``GET /v1/queue`` names.
    """
    binding = sorted(answer.get("binding") or [], key=lambda one: one["reason"] != row["reason"])
    reason = binding[0]["reason"] if binding else answer.get("reason") or row["reason"]
    return {
        **row,
        "why": "held by hand" if row["on_hold"] else REASONS.get(reason, reason),
        "limits": [one["limit"] for one in binding],
        "message": answer.get("message", ""),
        "expected_start": answer.get("expected_start"),
        "counterfactuals": answer.get("counterfactuals", []),
    }
