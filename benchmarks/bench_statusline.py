"""What a status line and a hook cost an agent: a process of their own for every line that is drawn.

    python benchmarks/bench_statusline.py [RUNS]

Each run starts a process as the agent does and waits for its end; beside it stands an interpreter that does nothing,
which no verb in Python can be quicker than. Nothing answers at the address that is told: the worst case. On a machine
that has other things to do the processor's time says more than the clock.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUDGET_MS = 100.0
"""What a status line may take by itself (usage-sources of the product: keep it under a tenth of a second)."""
PAUSE_SECONDS = 0.3
"""An agent draws at most so often; the reports of one line have ended before the next."""
SAID = {
    "session_id": "s", "transcript_path": "/nowhere/projects/p/s.jsonl", "version": "2.1.332",
    "rate_limits": {
        "five_hour": {"used_percentage": 23.5, "resets_at": int(time.time()) + 9_000},
        "seven_day": {"used_percentage": 41.2, "resets_at": int(time.time()) + 300_000},
    },
}  # fmt: skip
PYTHON = [sys.executable]
VERB = [sys.executable, "-c", "from quota_scheduler.__main__ import main; main()"]
CASES = {
    "an interpreter that does nothing": [*PYTHON, "-c", "pass"],
    "statusline with a line of its own": [*VERB, "statusline"],
    "statusline -- true": [*VERB, "statusline", "--", "true"],
    "hook": [*VERB, "hook"],
}


def milliseconds(command: list[str], said: bytes, environ: dict[str, str]) -> tuple[float, float]:
    """How long one process takes: by the clock, and of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, input=said, capture_output=True, check=True, env=environ)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took * 1000, used * 1000


def main() -> None:
    """Print the least, the median and the 95th percentile of each, in turns so that all see the same machine."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    said = json.dumps(SAID).encode()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "HOME": home, "PYTHONPATH": str(ROOT), "QUOTA_LISTEN": "127.0.0.1:1"}
        for _ in range(runs):
            for name, command in CASES.items():
                taken[name].append(milliseconds(command, said, environ))
                time.sleep(PAUSE_SECONDS)
        time.sleep(1.0)  # the last report ends before its folder does
    print(f"{'':34}  clock: least median   processor: least median")
    slowest = 0.0
    for name, times in taken.items():
        clock, processor = (sorted(column) for column in zip(*times, strict=True))
        slowest = max(slowest, clock[len(clock) // 2])
        middle = len(clock) // 2
        print(f"{name:34}  {clock[0]:12.0f} {clock[middle]:6.0f} {processor[0]:18.0f} {processor[middle]:6.0f} ms")
    print(f"slowest median {slowest:.0f} ms, of {BUDGET_MS:.0f} ms")


if __name__ == "__main__":
    main()
