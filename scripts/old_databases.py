"""Make tests/data/schemas anew: one database for each schema there ever was, written by the program of its time.

    scripts/old_databases.py COMMIT…        each brought a schema to main; the program of that commit serves and is used

A dump holds usage of several runs, a lease that has reported, one that has ended, a ticket that waits. They are what
tests/store/test_upgrade.py brings up to date. Once versions are released, add a dump for each.
"""

import gzip
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUT = ROOT / "tests/data/schemas"
LIMITS = """
limits:
  - {id: day, match: {provider: anthropic}, unit: tokens, amount: 10M, window: month, mode: enforce}
  - {id: spend, match: {provider: anthropic}, unit: usd, amount: 100, window: month}
"""


def main(commits: list[str]) -> None:
    """Write a dump for each commit."""
    OUT.mkdir(parents=True, exist_ok=True)
    for commit in commits:
        with tempfile.TemporaryDirectory() as folder:
            archive = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True)
            subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
            migrations = sorted(path.stem for path in Path(folder, "quota_scheduler/store/migrations").glob("0*.py"))
            try:
                database = serve_and_use(Path(folder))
            except (OSError, RuntimeError) as error:
                print(commit, migrations[-1], "could not be made:", str(error)[-300:])
                continue
            name = f"{len(migrations):02}-{migrations[-1]}.sql.gz"
            (OUT / name).write_bytes(gzip.compress(dump(database).encode(), 9, mtime=0))
            print(commit, name, (OUT / name).stat().st_size)


def serve_and_use(folder: Path) -> Path:
    """Let the program in a folder serve, use it as a client does, and end it."""
    home = folder / "home"
    home.mkdir()
    (home / "quota.yaml").write_text(LIMITS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}
    options = ["--config", "quota.yaml", "--database", f"sqlite:///{home}/quota.db", "--listen", f"127.0.0.1:{port}"]
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", "from quota_scheduler.cli import main; main()", *options, "serve"],
            cwd=home,
            env=variables,
            stdout=out,
            stderr=out,
        )
    try:
        use(port, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    return home / "quota.db"


def use(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Usage of four runs, and three tickets."""

    def ask(method: str, path: str, body: object = None) -> dict[str, object]:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"{}")

    for _ in range(300):
        try:
            ask("GET", "/readyz")
            break
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(log.read_text()[-500:]) from None
            time.sleep(0.1)
    month = datetime.now(UTC).replace(day=1, hour=0, minute=30, second=0, microsecond=0)
    events = [
        {"provider": "anthropic", "key": f"req_{n}", "at": (month + timedelta(hours=n % 20)).isoformat(),
         "model": "claude-sonnet-5", "run": f"run-{n % 4}", "session": f"session-{n % 3}",
         "labels": {"team": ("growth", "sales")[n % 2], "workflow": "nightly"},
         "input": 1_000 + n, "cache_read": 7 * n, "output": 10 * n}
        for n in range(40)
    ]  # fmt: skip
    ask("POST", "/v1/usage", events)
    leases = []
    for number, tokens in enumerate((100_000, 200_000, 9_900_000)):
        labels = {"provider": "anthropic", "team": "growth", "workflow": "nightly"}
        ticket = {"key": f"ticket-{number}", "labels": labels, "class": "normal", "estimate": {"tokens": tokens}}
        leases.append(ask("POST", "/v1/tickets", ticket).get("lease"))
    for lease, verb in zip(leases[:2], ("renew", "release"), strict=True):
        report = {"fence": lease["fence"], "usage": {"input": 700, "output": 5}}
        ask("POST", f"/v1/leases/{lease['id']}/{verb}", report | ({"status": "completed"} if verb == "release" else {}))
    time.sleep(3)  # a tick saves its readings


def dump(database: Path) -> str:
    """A database as SQL, with the mark that says whose it is."""
    with sqlite3.connect(database) as connection:
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        return "\n".join([f"PRAGMA application_id = {mark};", *connection.iterdump()])


if __name__ == "__main__":
    main(sys.argv[1:])
