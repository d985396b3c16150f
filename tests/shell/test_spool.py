"""The spool: what is kept comes back as it was, in order, once, bounded, and over a crash."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.metered import Metered
from quota_scheduler.core.ledger.produced import Produced, Product
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.ledger.unlisted import GoingOn, Inheritance, SessionTotal, StatedUsage
from quota_scheduler.core.scope import Scope
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.errors import DatabaseAway, StoreError
from quota_scheduler.spool import Spool, opened, packed, unpacked
from quota_scheduler.store.spool_file import SpoolFile
from tests.fakes import FixedClock
from tests.shell.sample import NOW

EVENT = UsageEvent("k0", NOW, Labels(provider="anthropic", team="t"), Usage(output=3, requests=1), flags=("batching",))
METERED = Metered("series", "group", 1, 2, 300, None, True, (1, 0, 0, 0, 0), EVENT)
MADE = Produced("series", next(iter(Product)), "session", "run", NOW, 1, 2, 3)
PUSHED = Pushed("otlp", (EVENT,), (METERED,), refused=("line 3: no JSON",), produced=(MADE,), costs=(("k0", 12),))
TOTAL = SessionTotal("session", 7, NOW, (StatedUsage(EVENT.labels, EVENT.priority, EVENT.usage, 2),), NOW)
OF_SESSIONS = Pushed(
    "claude_code@build-7",
    totals=(TOTAL,),
    inherited=(Inheritance("session", "parent", NOW),),
    going_on=(GoingOn("session", 8, NOW),),
)
BOUND = replace(PUSHED, scope=Scope((("team", "t"),)))


@dataclass
class Shown:
    """What its metrics were told last."""

    size: int = -1
    oldest_at: float = -1.0
    outcomes: list[str] = field(default_factory=list)

    def spool(self, *, size: int, oldest_at: float) -> None:
        self.size, self.oldest_at = size, oldest_at

    def spooled(self, outcome: str) -> None:
        self.outcomes.append(outcome)


@dataclass
class Database:
    """Takes deliveries, or is away after so many."""

    taken: list[Pushed] = field(default_factory=list)
    away_after: int = 1_000_000

    def take(self, delivery: Pushed) -> "Future[object]":
        done: Future[object] = Future()
        if len(self.taken) >= self.away_after:
            done.set_exception(DatabaseAway("away"))
        else:
            self.taken.append(delivery)
            done.set_result(None)
        return done


def numbered(number: int) -> Pushed:
    return replace(PUSHED, events=(replace(EVENT, key=f"k{number}"),))


def a_spool(folder: Path, database: Database, *, most: int = 1_000_000) -> tuple[Spool, Shown]:
    shown = Shown()
    return Spool(opened(folder / "spool.db", most, FixedClock(NOW)), database.take, shown), shown


@pytest.mark.parametrize(
    "delivery",
    [
        pytest.param(PUSHED, id="everybody's"),
        pytest.param(BOUND, id="of a token that is bound"),
        pytest.param(OF_SESSIONS, id="what sessions tell of themselves"),
    ],
)
def test_what_is_kept_comes_back_as_it_was(delivery: Pushed):
    assert unpacked(packed(delivery)) == delivery


@pytest.mark.parametrize("body", [pytest.param(b"", id="nothing"), pytest.param(packed(PUSHED)[:-9], id="half of one")])
def test_what_cannot_be_read_is_none(body: bytes):
    assert unpacked(body) is None


def test_it_is_replayed_in_order_and_then_empty(tmp_path: Path):
    database = Database()
    spool, shown = a_spool(tmp_path, database)
    assert [spool.keep(numbered(number)) for number in range(120)] == [True] * 120
    assert (spool.is_in_use, shown.size > 0, shown.oldest_at) == (True, True, NOW.timestamp())
    spool.replay()
    assert database.taken == [numbered(number) for number in range(120)]
    assert (spool.is_in_use, shown.size, shown.oldest_at) == (False, 0, 0.0)
    assert shown.outcomes == ["kept"] * 120 + ["replayed"] * 120


def test_while_the_database_is_away_the_rest_stays(tmp_path: Path):
    database = Database(away_after=2)
    spool, _ = a_spool(tmp_path, database)
    for number in range(4):
        spool.keep(numbered(number))
    with pytest.raises(DatabaseAway):
        spool.replay()
    database.away_after = 10
    spool.replay()
    assert database.taken == [numbered(number) for number in range(4)]


def test_it_outlives_its_process(tmp_path: Path):
    database = Database()
    first, _ = a_spool(tmp_path, database)
    for number in range(3):
        first.keep(numbered(number))
    first.close()
    second, _ = a_spool(tmp_path, database)
    assert second.is_in_use
    second.replay()
    assert database.taken == [numbered(number) for number in range(3)]


def test_a_full_one_refuses_and_takes_again_when_there_is_room(tmp_path: Path):
    database, room = Database(), 2 * len(packed(numbered(1))) + 10
    spool, shown = a_spool(tmp_path, database, most=room)
    assert [spool.keep(numbered(number)) for number in (1, 2, 3)] == [True, True, False]
    assert shown.size <= room
    spool.replay()
    assert spool.keep(numbered(3))
    assert shown.outcomes == ["kept", "kept", "refused", "replayed", "replayed", "kept"]


def test_what_this_version_cannot_read_is_set_aside_and_holds_nothing_up(tmp_path: Path):
    file = SpoolFile(tmp_path / "spool.db", 1_000_000, FixedClock(NOW))
    file.put(b"of another version")
    file.put(packed(numbered(2)))
    database, shown = Database(), Shown()
    Spool(file, database.take, shown).replay()
    assert (database.taken, shown.outcomes, file.entries) == ([numbered(2)], ["unreadable", "replayed"], 0)
    assert file.first(5) == []


def test_one_file_has_one_process(tmp_path: Path):
    SpoolFile(tmp_path / "spool.db", 1_000, FixedClock(NOW)).put(b"x")
    with pytest.raises(StoreError, match="spool"):
        SpoolFile(tmp_path / "spool.db", 1_000, FixedClock(NOW)).put(b"y")


def test_without_a_file_nothing_is_kept(tmp_path: Path):
    (tmp_path / "file").touch()
    spool = Spool(opened(tmp_path / "file" / "spool.db", 1_000, FixedClock(NOW)), Database().take, Shown())
    assert (spool.keep(PUSHED), spool.is_in_use) == (False, False)
    spool.replay()
