"""Every push outlives a database that is away and a kill: shipments, headless runs and the provider's word, too.

The database is a real PostgreSQL that is stopped hard, or a file that is locked or has no room any more, whose spool
was put on another disk.
"""

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from tests.postgres import Postgres
from tests.postgres_process import PostgresProcess
from tests.sources.test_agents import DATA
from tests.system.service_process import Place, Reply, ServiceProcess, until
from tests.system.test_agents import truth
from tests.torture.postgres_faults import fill, make_room, small_disk

pytestmark = pytest.mark.system
CONFIG = """
database: {url}
spool: {{file: {spool}}}
limits: [{{id: all, unit: tokens, amount: 1T, window: month}}]
"""
MODEL, FRESH, OUT = "claude-opus-5-5", 300, 30
RUN = {
    "type": "result",
    "subtype": "success",
    "session_id": "S",
    "modelUsage": {MODEL: {"inputTokens": FRESH, "outputTokens": OUT}},
}
WORD = {"provider": "anthropic", "window": "weekly", "used_percent": 41}
Away = AbstractContextManager[None]
"""Within the block the database is away."""


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, Callable[[], Away]]]:
    """A server of a test's own that is stopped hard."""
    del folder
    with PostgresProcess() as process:

        @contextmanager
        def away() -> Iterator[None]:
            process.stop("immediate")
            yield
            process.start()

        yield process.dsn(), away


@contextmanager
def locked_file(folder: Path) -> Iterator[tuple[str, Callable[[], Away]]]:
    """A file in which another program has begun to write."""

    @contextmanager
    def away() -> Iterator[None]:
        with closing(sqlite3.connect(folder / "quota.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    yield f"sqlite:///{folder / 'quota.db'}", away


@contextmanager
def file_without_room(folder: Path) -> Iterator[tuple[str, Callable[[], Away]]]:
    """A file on a disk that has no room any more."""
    del folder
    with small_disk(4) as disk:

        @contextmanager
        def away() -> Iterator[None]:
            fill(disk)
            yield
            make_room(disk)

        yield f"sqlite:///{disk / 'quota.db'}", away


@pytest.mark.parametrize(
    "database",
    [
        pytest.param(server, id="a server that is stopped hard"),
        pytest.param(file_without_room, id="a file on a disk without room", marks=pytest.mark.torture),
        pytest.param(locked_file, id="a file that another program holds", marks=pytest.mark.torture),
    ],
)
def test_every_push_outlives_a_database_that_is_away_and_a_kill(
    database: Callable[[Path], AbstractContextManager[tuple[str, Callable[[], Away]]]],
    postgres: Postgres,
    tmp_path: Path,
) -> None:
    del postgres
    here, there = Place(tmp_path / "service"), Place(tmp_path / "other")
    here.home.mkdir()
    shutil.copytree(DATA / "codex", there.home / ".codex")
    with database(tmp_path) as (url, away):
        here.config(CONFIG.format(url=url, spool=tmp_path / "spool.db"))
        with away_beside(here, away) as first:
            shipped = there.run("ship", "--to", f"http://127.0.0.1:{first.port}", "--host", "build-7", "--once")
            assert (shipped.returncode, "lie on the disk there" in shipped.stderr) == (0, True), shipped
            for _ in range(2):
                run = headless(first)
                assert (run.status, run.body["sessions"], run.body["spooled"]) == (202, ["S"], 1)
                word = first.ask("POST", "/v1/observations", WORD)
                assert (word.status, word.body["spooled"]) == (202, 1)
            first.kill()
        with ServiceProcess(here) as second:
            second.ready()
            answered = {**truth(["codex"]), MODEL: FRESH + OUT}
            until(lambda: used(second) == answered, what=f"{answered} of what lay in the spool")
            until(lambda: reported(second) == {("weekly", 0.41)}, what="the provider's word")
            until(lambda: not any(second.sample("quota_scheduler_spool_bytes").values()), what="an empty spool")
            until(
                lambda: any(second.sample("quota_source_lag_seconds", source="codex@build-7").values()),
                what="how the other host's source was doing",
            )
            assert headless(second).status == 200
            again = there.run(
                "ship", "--to", f"http://127.0.0.1:{second.port}", "--host", "build-7", "--once", "--state", "new.db"
            )
            assert again.stdout.startswith("0 accepted, 0 updated, ")
            until_a_tick_has_passed(second)
            assert used(second) == answered
            assert "Traceback" not in second.said
            second.terminate()
        checked = here.run("doctor", "--verify")
        assert checked.returncode == 0, checked.stdout


@contextmanager
def away_beside(place: Place, away: Callable[[], Away]) -> Iterator[ServiceProcess]:
    """A service that was ready before its database went away."""
    with ServiceProcess(place) as service:
        service.ready()
        with away():
            yield service


def used(service: ServiceProcess) -> dict[str, int]:
    """Tokens by model, with what sessions state beyond their calls."""
    rows = service.get("/v1/usage/summary?days=366&by=model")["usage"]
    return {row["model"]: row["tokens"] + row["unlisted_tokens"] for row in rows}


def headless(service: ServiceProcess) -> Reply:
    """Post what a headless run has printed."""
    return service.ask("POST", "/v1/headless", raw=json.dumps(RUN).encode())


def reported(service: ServiceProcess) -> set[tuple[str, float]]:
    """What Anthropic said; the files that are shipped hold another provider's word."""
    told = service.get("/v1/observations")["observations"]
    return {(one["window"], one["used_ratio"]) for one in told if one["provider"] == "anthropic"}


def until_a_tick_has_passed(service: ServiceProcess) -> None:
    """Wait until two more ticks have shown what they saw: a total that was told again counts by then."""
    (before,) = service.sample("quota_scheduler_snapshot_timestamp_seconds").values()
    began = time.time()
    until(
        lambda: next(iter(service.sample("quota_scheduler_snapshot_timestamp_seconds").values())) > max(before, began),
        what="a tick",
    )
