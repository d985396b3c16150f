"""What looking at a year costs: ``history`` of a ledger with a million events of 30 days, as a process of its own.

    python benchmarks/bench_history.py [EVENTS]

Prints seconds of the whole command, the best of five, and each as a ratio to ``status`` of the same file in the same
run: what is beyond it is the question itself. By session every raw event of the span is read, by all else sums by hour.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from quota_scheduler.store import Store, Transaction
from quota_scheduler.store.usage_columns import COLUMNS, NAMES

EVENTS, SESSIONS, PROJECTS, DAYS = 1_000_000, 4_000, 20, 30
MODELS = ("claude-opus-5-5", "claude-sonnet-5", "claude-haiku-4-5", "gpt-5.5", "gemini-3.6-flash")
QUESTIONS = (
    ("day",),
    ("month", "model"),
    ("project",),
    ("day", "model", "--timezone", "Europe/Berlin"),
    ("session", "--last", "24h"),
    ("session", "--last", "30d"),
)


def fill(tx: Transaction, events: int) -> None:
    """Write events and the sums that belong to them, faster than by the way they usually come."""
    names = "id, provider, account, model, team, project, workflow, task_type, agent, priority"
    pairs = [(project, model) for project in range(PROJECTS) for model in MODELS]
    tx.many(
        f"INSERT INTO label_sets ({names}) VALUES ({', '.join('?' * 10)})",
        [
            (n, "anthropic", "max", model, f"team{p % 4}", f"project{p}", f"project{p}", "", "", "interactive")
            for n, (p, model) in enumerate(pairs, 1)
        ],
    )
    facts = (
        "run, session, message, sidechain, flags, prompt_version, status, estimated, recorded_at, terms, origin, extent"
    )
    tx.many(
        f"INSERT INTO events (provider, key, at, label_set, {COLUMNS}, {facts}) VALUES ({', '.join('?' * 25)})",
        rows(events, len(pairs), tx.now),
    )
    sums = ", ".join(f"sum({name})" for name in NAMES)
    tx.execute(
        f"INSERT INTO rollups (hour, label_set, {COLUMNS}) "
        f"SELECT at / 3600000000, label_set, {sums} FROM events GROUP BY 1, 2"
    )


def rows(events: int, label_sets: int, now: datetime) -> Iterator[tuple[object, ...]]:
    rng, span = Random(1), DAYS * 86_400 * 10**6
    begin = int((now - timedelta(days=DAYS)).timestamp() * 10**6)
    for n in range(events):
        at, session = begin + rng.randrange(span), f"{n * SESSIONS // events:08d}-aaaa-bbbb-cccc-dddddddddddd"
        usage = (rng.randrange(100), rng.randrange(200_000), rng.randrange(3_000), 0, rng.randrange(3_000), 1)
        cost = (rng.randrange(100_000), 0, rng.randrange(10**6))
        labels = 1 + (n * SESSIONS // events + rng.randrange(2)) % label_sets
        yield (
            "anthropic", f"req_{n:024d}", at, labels, *usage, *cost, session, session, f"msg_{n:024d}", 0, "[]", "", "",
            0, at, "-", "claude_code", "",
        )  # fmt: skip


def seconds(database: Path, *words: str) -> float:
    """The best of five runs of a verb, as a process of its own."""
    command = [sys.executable, "-m", "quota_scheduler", "--database", f"sqlite:///{database}", *words]
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "QUOTA_LISTEN": "127.0.0.1:1"}
        )
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    """Measure and print."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "quota.db"
        with Store(database, clock=lambda: datetime.now(UTC)) as store, store.transaction() as tx:
            fill(tx, events)
        floor = seconds(database, "status")
        print(f"{events:,} events, {database.stat().st_size / 1e6:.0f} MB; status {floor:.3f} s")
        for words in QUESTIONS:
            taken = seconds(database, "history", *words)
            print(f"history {' '.join(words):<40} {taken:.3f} s  {taken / floor:.2f} × status")


if __name__ == "__main__":
    main()
