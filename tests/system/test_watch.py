"""``watch`` on a real terminal against a real service: what stands there, what keys do, and bad days."""

import hashlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.a_terminal import ATerminal
from tests.system.service_process import Place, ServiceProcess, until

LIMITS = """
timezone: Europe/Berlin
limits:
  - {id: weekly, match: {provider: anthropic}, unit: tokens, amount: 60M, window: week, holdback: 0}
  - {id: runs, match: {provider: anthropic}, unit: leases, amount: 2}
"""


def ticket(key: str, **more: object) -> dict[str, object]:
    labels = {"provider": "anthropic", "team": "growth", "workflow": key}
    return {"key": key, "labels": labels, "estimate": {"output": 200_000}, "ttl": 600, **more}


@pytest.fixture
def service(place: Place) -> Iterator[ServiceProcess]:
    """Two runs, and one ticket that waits for one of them to end."""
    place.config(LIMITS)
    with ServiceProcess(place) as service:
        service.ready()
        for key in ("first", "second", "third"):
            assert service.ask("POST", "/v1/tickets", ticket(key)).status == 200
        until(lambda: service.get("/v1/limits")["limits"], what="the first tick")
        yield service


def watching(service: ServiceProcess, *args: str, **how: object) -> ATerminal:
    where = ("--listen", f"127.0.0.1:{service.port}", "watch", "--every", "0.2")
    return ATerminal(service.place, *where, *args, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(("columns", "rows"), [pytest.param(80, 24, id="80x24"), pytest.param(200, 60, id="200x60")])
def test_a_glance_shows_limits_the_queue_with_reasons_and_leases(
    service: ServiceProcess, columns: int, rows: int
) -> None:
    with watching(service, columns=columns, rows=rows) as terminal:
        text = terminal.shows("LIMITS 2", "WAITING 1", "RUNNING 2", "runs: too many run at once", "full")
        assert re.search(r"weekly +\S.* Mon 00:00", text)
        assert re.search(r"runs +█+ +100%.* full", text)
        assert re.search(r"t1 +growth/first .*0% of 200k  runs \d+ s, ends in", text)
        assert re.search(r"figures \d+ s old", text)
        assert len(terminal.lines) == rows
        assert max(map(len, terminal.lines)) <= columns


def test_keys_ask_first_and_then_hold_start_and_cancel(service: ServiceProcess) -> None:
    with watching(service) as terminal:
        terminal.shows("WAITING 1")
        terminal.press("H")
        terminal.shows("Hold everything?", "2 running go on", "y: yes, n: no")
        terminal.press("n")
        terminal.shows("Nothing was done.")
        assert service.get("/v1/queue")["hold"] is None
        terminal.press("H")
        terminal.shows("Hold everything?")
        terminal.press("y")
        terminal.shows("!! Everything is held")
        assert service.get("/v1/queue")["hold"]["reason"] == "held from watch"
        terminal.press("H")
        terminal.shows("Let everything go on?")
        terminal.press("y")
        terminal.shows("Everything goes on.")
        terminal.press("\th")
        terminal.shows("Hold t3 (growth/third)?")
        terminal.press("y")
        terminal.shows("held by hand")
        terminal.press("s")
        terminal.shows("Start t3 (growth/third) now, whatever its limits say?")
        terminal.press("y")
        terminal.shows("may start")
        terminal.press("c")
        terminal.shows("Cancel t3 (growth/third)?")
        terminal.press("y")
        terminal.shows("nothing waits")
        terminal.press("\tc")
        terminal.shows("Take the lease of t1 (growth/first) away?")
        terminal.press("y")
        terminal.shows("RUNNING 1")
        assert [row["id"] for row in service.get("/v1/queue")["running"]] == ["t2"]


def test_a_service_that_dies_is_said_to_and_its_last_figures_age_until_it_comes_back(service: ServiceProcess) -> None:
    with watching(service) as terminal:
        terminal.shows("LIMITS 2")
        service.kill()
        terminal.shows("!! NO ANSWER", "last figures", "weekly", "nothing answers at")
        terminal.shows("figures 3 s old")  # they age
        with ServiceProcess(service.place, port=service.port) as again:
            again.ready()
            until(lambda: "NO ANSWER" not in terminal.text, what="the service to be back on the screen")
            terminal.shows("LIMITS 2", "RUNNING 2")


def test_it_follows_the_size_of_the_terminal(service: ServiceProcess) -> None:
    with watching(service) as terminal:
        terminal.shows("LIMITS 2")
        terminal.resize(200, 60)
        terminal.shows("RESERVED", "acknowledge ? help")
        terminal.resize(18, 5)
        terminal.shows("too small")
        terminal.resize(80, 24)
        terminal.shows("LIMITS 2", "q quit")


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda terminal: terminal.press("q"), id="q"),
        pytest.param(lambda terminal: terminal.press("\x03"), id="Ctrl-C"),
        pytest.param(lambda terminal: terminal.process.send_signal(signal.SIGTERM), id="SIGTERM"),
    ],
)
def test_it_leaves_the_terminal_as_it_was(service: ServiceProcess, leave: object) -> None:
    with watching(service) as terminal:
        terminal.shows("LIMITS 2")
        assert terminal.modes() != terminal.before
        leave(terminal)  # type: ignore[operator]
        assert terminal.process.wait(20) == 0
        until(lambda: terminal.raw.endswith("\x1b[?25h\x1b[?1049l"), what="the first screen to be back")
        assert terminal.modes() == terminal.before


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(service: ServiceProcess) -> None:
    with watching(service) as terminal:
        terminal.shows("LIMITS 2")
        terminal.press("\x1a")
        stat = Path(f"/proc/{terminal.process.pid}/stat")
        until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T", what="that it has stopped")
        assert terminal.modes() == terminal.before
        until(lambda: terminal.raw.endswith("\x1b[?25h\x1b[?1049l"), what="the first screen to be back")
        terminal.process.send_signal(signal.SIGCONT)
        until(lambda: "LIMITS" in terminal.raw.rpartition("\x1b[?1049l")[2], what="the picture to be back")
        assert terminal.modes() != terminal.before


@pytest.mark.parametrize("args", [["watch"], ["watch", "--once"]])
def test_a_token_that_is_refused_is_no_absence(place: Place, args: list[str]) -> None:
    hashed = hashlib.sha256(b"a-token-of-nobody-here").hexdigest()
    place.config(f"{LIMITS}tokens:\n  - {{name: ops, role: operator, sha256: {hashed}}}\n")
    with ServiceProcess(place) as service:
        service.ready()
        done = place.run("--listen", f"127.0.0.1:{service.port}", *args)
    assert (done.returncode, done.stdout) == (1, "")
    assert "401" in done.stderr
    assert "QUOTA_TOKEN" in done.stderr


def test_without_colour_nothing_is_lost(service: ServiceProcess) -> None:
    with watching(service, environ={"NO_COLOR": "1"}) as terminal:
        terminal.shows("LIMITS 2", "full", "too many run at once")
        assert not re.search(r"\x1b\[[\d;]*3[0-7]m", terminal.raw)


def test_a_pipe_gets_it_once_and_plain_also_from_the_file_of_a_service_that_is_away(service: ServiceProcess) -> None:
    where = ("--listen", f"127.0.0.1:{service.port}", "watch")
    piped = service.place.run(*where)
    assert (piped.returncode, "\x1b" in piped.stdout) == (0, False)
    assert "runs: too many run at once" in piped.stdout
    assert "q quit" not in piped.stdout
    service.kill()
    away = service.place.run(*where, "--once")
    assert (away.returncode, away.stdout.splitlines()[0].startswith("The file ")) == (0, True)
    assert "LIMITS  2" in away.stdout


def test_before_anything_is_there_it_says_so_and_waits(place: Place) -> None:
    with ATerminal(place, "--listen", "127.0.0.1:1", "watch", "--every", "0.2") as terminal:
        terminal.shows("!! nothing answers at 127.0.0.1:1", "quota-scheduler serve", "LIMITS none yet")
        terminal.press("\tjhacsH?")
        terminal.press("q")
        assert terminal.process.wait(20) == 0


def test_names_that_would_steer_the_terminal_are_written_out(service: ServiceProcess) -> None:
    service.ask("POST", "/v1/usage", [])
    labels = {"provider": "anthropic", "workflow": "ürgent [red]日本"}
    assert service.ask("POST", "/v1/tickets", {**ticket("odd"), "labels": labels}).status == 200
    with watching(service, columns=200, rows=30) as terminal:
        terminal.shows("WAITING 2", "ürgent [red]")


def test_it_rests_while_nothing_happens(service: ServiceProcess) -> None:
    """At most 3 % of a processor; the figures are asked for every two seconds, as by default."""
    import os
    import time
    from pathlib import Path

    def used(pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    where = ("--listen", f"127.0.0.1:{service.port}", "watch")
    with ATerminal(service.place, *where) as terminal:
        terminal.shows("LIMITS 2")
        before, began = used(terminal.process.pid), time.monotonic()
        until(lambda: time.monotonic() - began > 4, what="four seconds")
        assert (used(terminal.process.pid) - before) / (time.monotonic() - began) <= 0.03
