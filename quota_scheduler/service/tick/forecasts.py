"""The forecasts of a tick: histories kept up to date, limits that changed projected again.

restore   what the last service kept of its histories                        service.tick.kept_histories
refresh   only the hours that changed, from the ledger's rollups             core.forecast.histories
verify    closed windows, and what new limits learn from their past          service.tick.verification
project   limits that changed, at most every thirty seconds each             core.forecast
keep      the forecasts that are due to be judged later                      service.tick.verification
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.forecast.baselines import weighted_mean_to_come
from quota_scheduler.core.forecast.batch import project_at_once
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.histories import Histories, UsageHistory
from quota_scheduler.core.forecast.outlook import Outlook, demand_span, outlook_of
from quota_scheduler.core.forecast.project import Projectable
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.limits.thresholds import DEFAULT, Thresholds
from quota_scheduler.core.readings import measure
from quota_scheduler.core.readings.documents import read_outlook
from quota_scheduler.core.units import Unit
from quota_scheduler.service.tick.kept_histories import KeptHistories, counting
from quota_scheduler.service.tick.verification import Verification
from quota_scheduler.store import Row, Transaction, documents, ledger, rollups
from quota_scheduler.store import forecasts as forecast_store

HISTORY = timedelta(days=120)
"""How much history forecasts look at (reference figures are for 120 days)."""
FORECAST_EVERY = timedelta(seconds=30)
REFRESH_EVERY = timedelta(minutes=5)
"""A limit that nothing happens in is forecast again this often: time passes for it too."""
JUMP = 20
"""Usage that moves by a twentieth of the amount at once is forecast again at once."""
FOLD_EVERY = timedelta(days=7)
"""How often all histories are folded anew, whatever has been noted of the hours that moved."""
FOLD_POINTS_EVERY = timedelta(days=1)
"""The same where a limit counts percent points: what was charged at a rate that has been learned anew since goes."""
KEEP_EVERY = timedelta(days=1)
"""How often histories let go of what is too old, and are kept for the next start."""
OVERLAP = timedelta(seconds=10)
"""Transactions that were under way when we looked last may carry an instant that much earlier."""


class Projected(Struct):
    """The last forecast of a limit instance, and what it was computed from. ``begun``: its window was open."""

    at: datetime
    window: Window
    begun: bool
    facts: tuple[int, int]
    amount: int
    forecast: Forecast
    weighted_mean: int

    def as_of(self, balance: Balance) -> Forecast:
        """The forecast from what is used now: what was to come still comes, so it is never below what is used."""
        if self.window != balance.window or self.forecast.used == balance.spent:
            return self.forecast
        return replace(self.forecast, used=float(balance.spent))

    def weighted_mean_of(self, balance: Balance) -> int:
        """The weighted-mean baseline from what is used now."""
        if self.window != balance.window:
            return self.weighted_mean
        return self.weighted_mean + balance.spent - round(self.forecast.used)


class Forecasting:
    """Keeps the forecast, the outlook and the track record of every limit instance."""

    def __init__(
        self, thresholds: Thresholds = DEFAULT, gets_further: Callable[[object], None] = lambda _: None
    ) -> None:
        """``gets_further`` is told how far a fold is: of ten million events it takes half a minute."""
        self.thresholds, self._gets_further = thresholds, gets_further
        self.outlooks: dict[str, Outlook] = {}
        self.projected: dict[str, Projected] = {}
        self.verification = Verification()
        self.book = Histories(())
        self._kept = KeptHistories()
        self._folded_at: datetime | None = None
        self._kept_at: datetime | None = None
        self._looked_at: datetime | None = None

    def update(
        self, tx: Transaction, balances: Balances, instances: Sequence[LimitInstance], waiting: dict[str, int]
    ) -> None:
        """Bring everything up to the transaction's now; ``waiting`` is what waits by limit instance."""
        self._restore(tx)
        fresh = self._refresh(tx, balances)
        self.verification.update(tx, balances, instances, self.book, fresh=fresh)
        rows = [(b, balances.ruling(b)) for b in instances if b.limit.is_windowed]
        stale = [(b, t) for b, t in rows if self._is_stale(b, t, waiting.get(b.name, 0), tx.now)]
        self._project(stale, waiting, tx.now)
        for instance, balance in rows:
            if (projected := self.projected.get(instance.name)) and projected.window == balance.window:
                self.verification.keep(instance, balance, projected.forecast, tx.now)
        self._forget({instance.name for instance in instances})

    def save(self, tx: Transaction) -> None:
        """Write what this look taught, beside everything else the tick writes."""
        self.verification.save(tx)
        if self._looked_at:
            self._kept.save(tx, self._looked_at)

    # what is remembered

    def _restore(self, tx: Transaction) -> None:
        """Go on from the outlooks of the tick before a restart: their risk has a hysteresis."""
        if self._looked_at is None:
            for name, body in documents.load_bodies(tx, "outlooks").items():
                self.outlooks.setdefault(name, read_outlook(body))

    def _refresh(self, tx: Transaction, balances: Balances) -> bool:
        """Fold what changed in the ledger since the last look; everything each week, and when limits count otherwise.

        Returns whether a day has begun since the histories were folded or kept.
        """
        since = tx.now - HISTORY
        if self._looked_at is None and (going := self._kept.restored(tx, balances.limits)):
            self.book, self._looked_at = going.book, going.as_of
            self._folded_at, self._kept_at = going.folded_at, going.as_of
        lately = self._looked_at - OVERLAP if self._looked_at and self._is_current(balances) else None
        if lately:
            if hours := rollups.changed_hours(tx, since=since, changed_since=lately):
                self.book.update(rollups.of_hours(tx, hours), hours, ledger.label_sets(tx), balances)
        else:
            self.book = Histories(balances.limits)
            self.book.fold(self._slices(tx, since), ledger.label_sets(tx), balances)
            self._folded_at, self._kept_at = tx.now, None
        self.book.demand(forecast_store.unmet(tx, since=since, changed_since=lately))
        self._looked_at = tx.now
        is_new_day = self._kept_at is None or tx.now - self._kept_at >= KEEP_EVERY
        if is_new_day and self._folded_at:
            self.book.let_go(since)
            self._kept.begin(self.book, tx.now, self._folded_at)
            self._kept_at = tx.now
        return is_new_day

    def _slices(self, tx: Transaction, since: datetime) -> Iterator[list[Row]]:
        for rows in rollups.slices(tx, since):
            self._gets_further(rows[-1][:2])
            yield rows

    def _is_current(self, balances: Balances) -> bool:
        """Whether histories need only what changed: folded not long ago, looked at in the past, and counted alike."""
        now, looked_at, folded_at = balances.now, self._looked_at, self._folded_at
        if (
            looked_at is None
            or folded_at is None
            or looked_at > now
            or counting(self.book.limits) != counting(balances.limits)
        ):
            return False
        has_points = any(limit.unit is Unit.PERCENT for limit in balances.limits)
        return timedelta(0) <= now - folded_at < (FOLD_POINTS_EVERY if has_points else FOLD_EVERY)

    def _forget(self, names: set[str]) -> None:
        for memory in (self.projected, self.outlooks):
            for gone in memory.keys() - names:
                del memory[gone]

    # where windows end

    def _is_stale(self, instance: LimitInstance, balance: Balance, waiting: int, now: datetime) -> bool:
        before, window = self.projected.get(instance.name), balance.window
        if window is None:
            return False
        if before is None or before.begun != bool(balance.id) or before.amount != balance.amount:
            return True
        if balance.id and before.window != window:
            return True
        if self.verification.is_due(instance, balance, before.forecast, now):
            return True
        age = abs(now - before.at)
        moved = before.facts != _facts(balance, waiting)
        if abs(balance.spent - before.facts[0]) >= max(1, balance.amount // JUMP):
            return True
        return age >= REFRESH_EVERY or (moved and age >= min(FORECAST_EVERY, window.length / 120))

    def _project(self, stale: Sequence[tuple[LimitInstance, Balance]], waiting: dict[str, int], now: datetime) -> None:
        """Forecast these limits and the demand of the classes above each rank, all in one go."""
        rows = [_Row(b, t, self.book.of(b.name), self._allowance(b, t, now)) for b, t in stale]
        forecasts, means = iter(self._projections(rows, waiting, now)), _Means(now)
        for row in rows:
            balance, name = row.balance, row.instance.name
            forecast = next(forecasts)
            above = tuple(next(forecasts) if history.starts.size else None for history in row.history.above)
            facts = _facts(balance, waiting.get(name, 0))
            self.projected[name] = Projected(
                now, row.window, bool(balance.id), facts, balance.amount, forecast, balance.spent + means.of(row)
            )
            previous = self.outlooks[name].risk if name in self.outlooks else "unknown"
            self.outlooks[name] = outlook_of(
                forecast,
                above,
                row.history,
                amount=balance.amount,
                previous=previous,
                zone=row.instance.limit.zone,
                now=now,
                thresholds=self.thresholds,
            )

    def _projections(self, rows: Sequence["_Row"], waiting: dict[str, int], now: datetime) -> list[Forecast]:
        windows: list[Projectable] = []
        for row in rows:
            name, since, track = row.instance.name, row.history.first, self.verification.track(row.instance.name)
            certain = measure.certain_usage(row.balance, waiting.get(name, 0), allowance=row.allowance)
            calibration = track.calibration if track else None
            windows.append(
                Projectable(row.history.all, row.window, certain, calibration, row.balance.spent, since=since)
            )
            span = demand_span(row.window, now=now)
            widest = row.history.above[-1]
            windows += [
                Projectable(above, span, since=since, like=widest) for above in row.history.above if above.starts.size
            ]
        return project_at_once(windows, now=now, step=measure.HOUR)

    def _allowance(self, instance: LimitInstance, balance: Balance, now: datetime) -> int:
        outlook = self.outlooks.get(instance.name)
        history = outlook.history if outlook else timedelta(0)
        return balance.amount - instance.limit.held_back(
            balance.amount, history=history, window=balance.window, now=now
        )


class _Row(Struct, frozen=True):
    """One limit instance about to be forecast."""

    instance: LimitInstance
    balance: Balance
    history: UsageHistory
    allowance: int

    @property
    def window(self) -> Window:
        assert self.balance.window is not None
        return self.balance.window


class _Means:
    """The weighted-mean baseline, beside ours for comparison: that mean kept up to the reset, once for each history."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._to_come: dict[tuple[int, datetime], int] = {}

    def of(self, row: _Row) -> int:
        """What comes on top of what is used."""
        key = id(row.history.all), row.window.ends_at
        if key not in self._to_come:
            self._to_come[key] = round(weighted_mean_to_come(row.history.all, self._now, row.window.ends_at))
        return self._to_come[key]


def _facts(balance: Balance, waiting: int) -> tuple[int, int]:
    """What a forecast follows from beside history: usage, and what is committed or waits."""
    return balance.spent, balance.reserved + waiting
