"""What happens to databases in real life, done to a real PostgreSQL: failover, slow and full disks, a pooler."""

import os
import pwd
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.postgres_process import FAST, PostgresProcess
from tests.system.service_process import free_port, until

SLOW_DISK = {**FAST, "commit_delay": "100000", "commit_siblings": "0"}
"""Each commit takes 0.1 s to reach the disk, as on one that is overloaded."""


def standby_of(primary: PostgresProcess) -> PostgresProcess:
    """A streaming standby that has confirmed all the primary answers from now on: failover loses nothing of it.

    Start it and end it with its ``with`` block; ``primary`` keeps answering only while it lives.
    """
    standby = PostgresProcess(primary.settings, bin_=primary.bin)
    primary.run("pg_basebackup", "-D", str(standby.data), "-R", "-X", "stream", "-c", "fast", "--no-sync")
    return standby


def wait_for_standby(primary: PostgresProcess) -> None:
    """From now on a commit is answered once the standby has it as well."""
    primary.run("psql", "-q", "-c", "ALTER SYSTEM SET synchronous_standby_names = '*'", "postgres")
    primary.run("psql", "-q", "-c", "SELECT pg_reload_conf()", "postgres")
    asked = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    until(lambda: primary.run("psql", "-At", "-c", asked, "postgres").strip() == "1", what="a synchronous standby")


def promote(standby: PostgresProcess) -> None:
    """Make a standby the primary; it waits for no standby of its own."""
    standby.run("pg_ctl", "promote", "-w", "-D", str(standby.data))
    standby.run("psql", "-q", "-c", "ALTER SYSTEM SET synchronous_standby_names = ''", "postgres")
    standby.run("psql", "-q", "-c", "SELECT pg_reload_conf()", "postgres")


def either(first: PostgresProcess, second: PostgresProcess, database: str = "postgres") -> str:
    """How to reach whichever of two servers takes writes."""
    hosts = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
    return f"postgresql://postgres@{hosts}/{database}?target_session_attrs=read-write&connect_timeout=2"


@contextmanager
def pgbouncer(server: PostgresProcess, program: Callable[[str], str]) -> Iterator[str]:
    """PgBouncer with transaction pooling in front of a server: yields how to reach its database ``postgres``."""
    port, folder = free_port(), server.folder
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "bouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {folder}/users.txt\n"
        "pool_mode = transaction\ndefault_pool_size = 5\nignore_startup_parameters = extra_float_digits\n"
    )
    command, options = [program("pgbouncer"), "-q", str(folder / "bouncer.ini")], {}
    if server.account:  # it refuses root, as the server does
        entry = pwd.getpwnam(server.account)
        options = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    with (folder / "bouncer.log").open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd="/", **options)
    dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        until(lambda: _answers(dsn), what=f"PgBouncer: {folder}/bouncer.log")
        yield dsn
    finally:
        process.terminate()
        process.wait()


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A disk of this size, which takes an administrator to mount; ``fill`` and ``make_room`` are for it."""
    if os.geteuid() != 0:
        pytest.skip("a small disk is mounted by root alone")
    folder = Path(f"/tmp/quota-disk-{os.getpid()}-{time.monotonic_ns()}")
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    try:
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted: {mounted.stderr.decode().strip()}")
        yield folder
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", "-l", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def fill(disk: Path) -> None:
    """Take all the room there is."""
    with (disk / "filler").open("wb") as file:
        try:
            while True:
                file.write(b"\0" * 65_536)
                file.flush()
        except OSError:
            pass


def make_room(disk: Path) -> None:
    """Give it back."""
    (disk / "filler").unlink()


def few_descriptors(pid: int, number: int) -> None:
    """Let a process open no more files and sockets than this."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


class Probe(threading.Thread):
    """A program of a few lines in place of the service: adds one to a balance under a key, again until it is answered.

    ``answered`` are the keys that it was told are stored. After any fault each of them is there exactly once, and the
    balance is the number of rows: what a right program can reach with a right database.
    """

    def __init__(self, dsn: str, name: str) -> None:
        super().__init__(daemon=True)
        self.dsn, self.name, self.answered, self.enough = dsn, name, [], threading.Event()

    @staticmethod
    def prepare(dsn: str) -> None:
        """The tables that probes use."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE balance (id int PRIMARY KEY, used bigint); INSERT INTO balance VALUES (1, 0)"
            )
            connection.execute("CREATE TABLE rows (key text PRIMARY KEY)")

    def run(self) -> None:
        number = 0
        while not self.enough.is_set():
            number += 1
            while not self.enough.is_set() and not self._stored(f"{self.name}-{number}"):
                self.enough.wait(0.02)

    def _stored(self, key: str) -> bool:
        try:
            with psycopg.connect(self.dsn, connect_timeout=2, prepare_threshold=None) as connection:
                connection.execute("SET LOCAL statement_timeout = '3s'")
                connection.execute("SELECT used FROM balance WHERE id = 1 FOR UPDATE")
                added = connection.execute("INSERT INTO rows VALUES (%s) ON CONFLICT DO NOTHING", (key,)).rowcount
                connection.execute("UPDATE balance SET used = used + %s WHERE id = 1", (added,))
        except psycopg.Error:
            return False
        self.answered.append(key)
        return True

    def more(self, number: int = 5) -> None:
        """Wait until it was answered as often again."""
        goal = len(self.answered) + number
        until(lambda: len(self.answered) >= goal, seconds=60, what=f"{number} more answers of {self.name}")


def judge(dsn: str, probes: list[Probe]) -> None:
    """End the probes, and compare what they were told with what is there."""
    for probe in probes:
        probe.enough.set()
        probe.join(30)
    with psycopg.connect(dsn) as connection:
        rows = [key for (key,) in connection.execute("SELECT key FROM rows").fetchall()]
        ((used,),) = connection.execute("SELECT used FROM balance").fetchall()
    assert used == len(rows)
    assert [key for probe in probes for key in probe.answered if key not in set(rows)] == []
