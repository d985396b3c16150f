"""Usage in, as a process: found by itself, exact, read once, whatever happens to the files and to the process."""

import os
import random
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.corpus import Corpus, write
from tests.system.service_process import Place, ServiceProcess, until
from tests.system.transcripts import Agent, amounts

FROM_DEFAULTS = [".claude", ".config/claude"]


def equals(service: ServiceProcess, *corpora: Corpus) -> None:
    """Wait until the ledger holds what the corpora add up to; a difference that stays is shown whole."""
    expected = amounts(*corpora)
    try:
        until(lambda: service.recorded() == expected, seconds=15)
    except AssertionError:
        assert service.recorded() == expected


def test_without_a_configuration_it_finds_both_default_places_and_says_so(place: Place) -> None:
    corpora = [write(place.home / root, seed=seed) for seed, root in enumerate(FROM_DEFAULTS, 11)]
    with ServiceProcess(place.by_default()) as service:
        service.caught_up()
        equals(service, *corpora)
        assert [line.strip() for line in service.said.splitlines()[:3]] == [
            f"Quota Scheduler listens on http://127.0.0.1:{service.port}  "
            "(the page at /, metrics at /metrics, API at /docs)",
            "configuration  defaults, --listen",
            f"database       {place.database}",
        ]
        for root in FROM_DEFAULTS:
            assert str(place.home / root / "projects") in service.said
        assert "anthropic-monthly: 300M tokens per month, provider=anthropic (warn)" in service.said
        assert "run-cap: 5M tokens per run, everything (warn)" in service.said


def test_what_was_there_before_is_no_use_of_today(place: Place) -> None:
    """Months of history in the first scrape would be the day's numbers times ten."""
    history = write(place.home / ".claude", seed=32)
    agent = Agent(place.home).spend(input=7, output=40)
    with ServiceProcess(place) as service:
        equals(service.caught_up(), history, agent.corpus)
        until(service.consumed, what="the counters of the first readings")
        assert {kind: n for kind, n in service.consumed().items() if n} == {"input": 7, "output": 40}
        (backfilled,) = service.sample("quota_backfilled_tokens_total", provider="anthropic").values()
        assert backfilled == sum(amounts(history).values())


def test_claude_config_dir_replaces_the_default_places(place: Place, tmp_path: Path) -> None:
    write(place.home / ".claude", seed=21)
    corpus = write(tmp_path / "elsewhere", seed=22)
    place.environ["CLAUDE_CONFIG_DIR"] = str(tmp_path / "elsewhere")
    with ServiceProcess(place) as service:
        equals(service.caught_up(), corpus)


def test_a_home_without_transcripts_is_fine_and_the_first_one_is_seen_when_it_comes(place: Place) -> None:
    with ServiceProcess(place) as service:
        service.caught_up()
        assert "no transcripts yet; looking in" in service.said
        assert service.recorded() == {}
        agent = Agent(place.home).spend(input=5, cache_read=700, output=40)
        equals(service, agent.corpus)


def test_a_growing_transcript_shows_within_five_seconds_and_history_does_not_move(place: Place) -> None:
    history = write(place.home / ".config/claude", seed=31)
    agent = Agent(place.home).spend(input=1, output=10)
    with ServiceProcess(place.by_default()) as service:
        equals(service.caught_up(), history, agent.corpus)
        agent.spend(input=100, cache_read=20_000, cache_write_1h=300, output=400)
        expected = amounts(history, agent.corpus)
        until(lambda: service.recorded() == expected, seconds=5, what="the new response")


def test_an_existing_database_is_ready_at_once_and_a_restart_doubles_nothing(place: Place) -> None:
    corpus = write(place.home / ".claude", seed=41)
    with ServiceProcess(place) as service:
        equals(service.caught_up(), corpus)
        assert service.terminate() == 0
    started = time.monotonic()
    with ServiceProcess(place) as service:
        service.ready(seconds=5)
        assert time.monotonic() - started < 5
        equals(service.caught_up(), corpus)
        assert service.sample("quota_source_errors_total") == {(("source", "claude_code"),): corpus.garbled}


def test_files_that_are_renamed_rewritten_or_removed_lose_and_double_nothing(place: Place) -> None:
    agents = [Agent(place.home, f"session-{i}").spend(input=10 + i, output=100) for i in range(3)]
    with ServiceProcess(place) as service:
        service.caught_up()
        equals(service, *(agent.corpus for agent in agents))
        renamed, rewritten, removed = agents
        path = renamed.session.path
        path.rename(path.with_name("archived.jsonl"))
        renamed.spend(cache_read=900, output=30)  # the old name begins anew
        lines = rewritten.session.lines
        rewritten.session.path.write_bytes(lines[-1])  # shorter than what was read
        rewritten.spend(cache_write_5m=70, output=20)
        removed.session.path.unlink()
        equals(service, *(agent.corpus for agent in agents))


def test_a_line_that_is_still_being_written_counts_once_it_is_whole(place: Place) -> None:
    agent = Agent(place.home).spend(input=1, output=10)
    with ServiceProcess(place) as service:
        equals(service.caught_up(), agent.corpus)
        path, whole = agent.session.path, agent.session.path.read_bytes()
        agent.spend(input=7, output=90)
        more = path.read_bytes()[len(whole) :]
        path.write_bytes(whole + more[:-40])
        until(lambda: service.get("/v1/limits"), what="a look")
        with path.open("ab") as file:
            file.write(more[-40:])
        equals(service, agent.corpus)
        assert service.sample("quota_source_errors_total") == {(("source", "claude_code"),): 0}


def test_an_unreadable_folder_is_named_and_the_rest_is_read(place: Place) -> None:
    if os.geteuid() == 0:
        # root reads everything: a folder in place of a transcript is what it cannot read
        (place.home / ".claude/projects/x/folder.jsonl").mkdir(parents=True)
    else:
        (place.home / ".claude/projects/x").mkdir(parents=True)
        (place.home / ".claude/projects/x/closed.jsonl").touch(mode=0)
    agent = Agent(place.home).spend(input=3, output=30)
    with ServiceProcess(place) as service:
        equals(service.caught_up(), agent.corpus)
        assert "Traceback" not in service.said


KILLS = [pytest.param(4, id="a few kills"), pytest.param(200, id="200 kills", marks=pytest.mark.torture)]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("kills", KILLS)
def test_kill_9_at_any_moment_of_an_import_neither_loses_nor_doubles(place: Place, kills: int) -> None:
    rng = random.Random(kills)
    corpus = write(place.home / ".claude", seed=51, sessions=10, responses=60)
    agent = Agent(place.home, "live")
    for _ in range(kills):
        with ServiceProcess(place) as service:
            if rng.random() < 0.7:
                service.ready()
            agent.spend(input=rng.randrange(50), output=10 + rng.randrange(50), ago=timedelta(minutes=1))
            # any moment is as good as another: the wait is the experiment, not a hope
            time.sleep(rng.random() * 1.5)
            service.kill()
    with ServiceProcess(place) as service:
        equals(service.caught_up(), corpus, agent.corpus)
        assert service.terminate() == 0
    assert place.run("doctor").returncode == 0
