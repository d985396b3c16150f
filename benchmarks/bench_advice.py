"""What advice costs: the question behind ``suggestions`` over 30 days of a million events, in one read-only view.

    python benchmarks/bench_advice.py [RUNS]

A run has some fifty calls, so that a million events are 20,000 runs. Prints CPU seconds, the best of five, how many
suggestions came, and how many times as long as only reading the rows that it takes: that ratio holds on a busy machine.
"""

import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from quota_scheduler.core.instants import to_micros
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service.queries.advice import suggestions_document
from quota_scheduler.store import Store, Transaction
from quota_scheduler.store.usage_columns import COLUMNS

RUNS, WORKFLOWS = 20_000, 40
MODELS = ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5")


def fill(tx: Transaction, runs: int) -> None:
    """Write runs of forty workflows with three models each."""
    rng = Random(1)
    names = "id, provider, account, model, team, project, workflow, task_type, agent, priority"
    pairs = [(workflow, model) for workflow in range(WORKFLOWS) for model in MODELS]
    tx.many(
        f"INSERT INTO label_sets ({names}) VALUES ({', '.join('?' * 10)})",
        [(n, "anthropic", "", model, "", "", f"w{w}", "", "", "interactive") for n, (w, model) in enumerate(pairs, 1)],
    )
    columns = f"run, label_set, recorded_at, started_at, last_at, flags, prompt_version, status, {COLUMNS}"
    rows = []
    for n in range(runs):
        at = to_micros(tx.now - timedelta(seconds=rng.randrange(30 * 86_400)))
        usage = (rng.randrange(10**4), rng.randrange(10**7), rng.randrange(10**5), 0, rng.randrange(10**5), 50)
        cost = (rng.randrange(10**6, 10**7), 0, 0)
        flags = rng.choice(["[]", '["batching"]'])
        rows.append((f"run-{n}", 1 + n % len(pairs), at, at, at, flags, "", "completed", *usage, *cost))
    tx.many(f"INSERT INTO runs ({columns}) VALUES ({', '.join('?' * len(rows[0]))})", rows)


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory() as folder:
        prices, taken, read = Prices(), [], []
        with Store(Path(folder) / "quota.db") as store:
            with store.transaction() as tx:
                fill(tx, runs)
            for _ in range(5):
                began = time.process_time()
                with store.reading() as tx:
                    answer = suggestions_document(tx, (), prices.price, 30, zone="UTC")
                taken.append(time.process_time() - began)
                began = time.process_time()
                with store.reading() as tx:
                    tx.rows("SELECT * FROM runs")
                read.append(time.process_time() - began)
        print(f"{runs:,} runs: {min(taken):.3f} s of CPU, {len(answer['suggestions'])} suggestions")
        print(f"{min(taken) / min(read):.1f} times as long as reading their rows")


if __name__ == "__main__":
    main()
