"""How forecasts fared: kept at fixed parts of each window, judged when it has closed, believed accordingly.

keep    the forecast of a limit when its window has reached a part       ─► predictions
verify  predictions whose window closed, by what was used in it          ─► tracks
seed    a limit without a track earns one from its imported past         ─► tracks
save    both, in the transaction of the tick

What it remembers is rebuilt from the database whenever that holds something else than was written last.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from msgspec import Struct, field

from quota_scheduler.core.forecast.batch_replay import ReplayedPast, replay_at_once
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.histories import Histories
from quota_scheduler.core.forecast.track_record import (
    Prediction,
    TrackReading,
    TrackRecord,
    closed_windows,
    part_reached,
)
from quota_scheduler.core.instants import SKEW
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit, parts_of
from quota_scheduler.core.limits.schedule import Calendar
from quota_scheduler.store import Transaction, facts, forecasts, windows

SEEDED_PER_TICK = 4
"""Tracks earned from the past in one tick, so that the first ticks of an installation stay short."""
MOST_REMEMBERED = 1_000
"""Judgements that can be taken back, should the clock turn out to have been ahead."""
MARK = "forecasts_saved"
"""Remembered fact: how often this was saved; another number than ours says that the memory is stale."""


class Owed(Struct):
    """What the next transaction of a tick has to write."""

    tracks: dict[str, tuple[str, TrackRecord]] = field(default_factory=dict)
    made: list[Prediction] = field(default_factory=list)
    settled: list[Prediction] = field(default_factory=list)
    forget_before: datetime | None = None


class Verification:
    """The track record of every limit instance, and the forecasts that await judgement."""

    def __init__(self) -> None:
        self.tracks: dict[str, tuple[str, TrackRecord]] = {}
        self._predictions: dict[tuple[str, datetime, int], Prediction] = {}
        self._readings: dict[str, tuple[TrackRecord, TrackReading]] = {}
        self._owed = Owed()
        self._mark: int | None = None
        self._untried: set[str] = set()
        self._judged: list[tuple[Prediction, tuple[str, TrackRecord]]] = []

    def track(self, instance: str) -> TrackRecord | None:
        """The track record of a limit instance."""
        shaped = self.tracks.get(instance)
        return shaped[1] if shaped else None

    def reading(self, instance: str) -> TrackReading | None:
        """A track record as people see it; None before anything was judged."""
        track = self.track(instance)
        if track is None or not track.calibration.verified:
            return None
        last = self._readings.get(instance)
        if last is None or last[0] is not track:
            last = self._readings[instance] = track, track.reading()
        return last[1]

    def update(
        self, tx: Transaction, balances: Balances, instances: Sequence[LimitInstance], book: Histories, *, fresh: bool
    ) -> None:
        """Learn from what has closed by now; ``fresh``: the histories were folded anew, as they are once a day."""
        self._restore(tx)
        if fresh:
            self._try_again(book)
        shapes = {limit.id: windows.shape_text(limit) for limit in balances.limits}
        self._take_back(tx.now)
        self._rebase(instances, shapes)
        self._verify(tx, {limit.id: limit for limit in balances.limits}, shapes)
        self._seed(instances, shapes, book, tx.now)

    def save(self, tx: Transaction) -> None:
        """Write what changed since the last save."""
        owed = self._owed
        if not (owed.tracks or owed.made or owed.settled or owed.forget_before):
            return
        forecasts.save_tracks(tx, owed.tracks)
        forecasts.forget_predictions(tx, owed.settled)
        forecasts.save_predictions(tx, owed.made)
        if owed.forget_before:
            forecasts.forget_unmet(tx, owed.forget_before)
        self._mark, self._owed = (self._mark or 0) + 1, Owed()
        facts.remember(tx, MARK, str(self._mark))

    def is_due(self, instance: LimitInstance, balance: Balance, forecast: Forecast, now: datetime) -> bool:
        """Whether the window has reached a part at which its forecast is to be kept and was not yet."""
        part = part_reached(balance.window, now) if balance.window and balance.id else None
        if part is None or balance.window is None or forecast.observed_days <= 0:
            return False
        return (instance.name, balance.window.starts_at, part) not in self._predictions

    def keep(self, instance: LimitInstance, balance: Balance, forecast: Forecast, now: datetime) -> None:
        """Keep a forecast of the window until it has closed, if it is due."""
        part = part_reached(balance.window, now) if balance.window else None
        if part is not None and self.is_due(instance, balance, forecast, now):
            made = Prediction(instance.name, part, forecast, balance.amount)
            self._predictions[made.key] = made
            self._owed.made.append(made)

    def _restore(self, tx: Transaction) -> None:
        """Load what was saved, at the start and whenever a write of ours did not reach the disk."""
        mark = int(facts.fact(tx, MARK) or 0)
        if self._mark == mark:
            return
        self._mark, self._owed = mark, Owed()
        self.tracks = forecasts.tracks(tx)
        self._predictions = {prediction.key: prediction for prediction in forecasts.predictions(tx)}

    def _try_again(self, book: Histories) -> None:
        """Look for closed windows of limits that had none yet, and let go of demand older than any history."""
        self._untried = {name for name, (_, track) in self.tracks.items() if not track.calibration.verified}
        self._owed.forget_before = book.first

    def _rebase(self, instances: Iterable[LimitInstance], shapes: dict[str, str]) -> None:
        """Let go of what was learned about limits that are gone or count something else now."""
        present = {instance.name for instance in instances}
        for name, (shape, _) in list(self.tracks.items()):
            rule, _ = parts_of(name)
            if shapes.get(rule) != shape and (name in present or rule not in shapes):
                self.tracks.pop(name)
                self._settle([p for p in self._predictions.values() if p.instance == name])

    def _settle(self, done: Iterable[Prediction]) -> None:
        for prediction in done:
            self._predictions.pop(prediction.key, None)
            self._owed.settled.append(prediction)

    def _verify(self, tx: Transaction, limits: dict[str, Limit], shapes: dict[str, str]) -> None:
        """Judge the forecasts of windows that have closed, once late usage has had time to come in."""
        ripe = [prediction for prediction in self._predictions.values() if prediction.ripe(tx.now)]
        for prediction in sorted(ripe, key=lambda p: (p.forecast.ends_at, p.key)):
            rule, _ = parts_of(prediction.instance)
            actual = _ended_with(tx, prediction, limits[rule]) if rule in limits else None
            if actual is not None:
                track = self.track(prediction.instance) or TrackRecord()
                self._judged.append((prediction, self.tracks.get(prediction.instance, (shapes[rule], TrackRecord()))))
                self._learn(
                    prediction.instance,
                    shapes[rule],
                    track.verify(prediction.forecast, actual, amount=prediction.amount),
                )
        self._settle(ripe)

    def _take_back(self, now: datetime) -> None:
        """Unlearn what was judged of windows that go on: the clock stood past their end, and has been put right."""
        ended = [(judged, before) for judged, before in self._judged if judged.forecast.ends_at <= now]
        for judged, (shape, track) in reversed(self._judged):
            if judged.forecast.ends_at > now:
                self._learn(judged.instance, shape, track)
                self._predictions[judged.key] = judged
                self._owed.made.append(judged)
        self._judged = ended[-MOST_REMEMBERED:]
        self._settle([made for made in self._predictions.values() if made.forecast.now > now + SKEW])

    def _learn(self, instance: str, shape: str, track: TrackRecord) -> None:
        self.tracks[instance] = self._owed.tracks[instance] = shape, track

    def _seed(self, instances: Iterable[LimitInstance], shapes: dict[str, str], book: Histories, now: datetime) -> None:
        """Let limits that nothing was judged of yet earn a track from the windows of their imported past."""
        untracked = (b for b in instances if b.limit.is_windowed and self._wants_seed(b.name))
        fresh = list(islice(untracked, SEEDED_PER_TICK)) if book.first else []
        for instance, track in zip(fresh, replay_at_once([_past_of(b, book, now) for b in fresh]), strict=True):
            self._untried.discard(instance.name)
            self._learn(instance.name, shapes[instance.limit.id], track)

    def _wants_seed(self, instance: str) -> bool:
        return instance not in self.tracks or instance in self._untried


def _past_of(instance: LimitInstance, book: Histories, now: datetime) -> ReplayedPast:
    """What a limit instance can earn a track from: nothing where it was never used."""
    history = book.of(instance.name)
    first = history.first
    windows = closed_windows(instance.limit.schedule, history.all, since=first, before=now) if first else []
    return ReplayedPast(history.all, windows, instance.limit.amount_of(instance.value), first or now)


def _ended_with(tx: Transaction, prediction: Prediction, limit: Limit) -> int | None:
    """What was used in the window of a prediction; None when it did not run its course.

    A calendar window that nothing ever touched is not stored, and was not used.
    """
    window = forecasts.ended_with(tx, prediction.instance, prediction.forecast.starts_at)
    if window is None:
        return 0 if isinstance(limit.schedule, Calendar) else None
    ends_at, used, reason = window
    return used if ends_at == prediction.forecast.ends_at and not reason else None
