"""What ``run`` costs a command: the same command bare and under a lease, in turns, against a service of its own.

    python benchmarks/bench_run.py [RUNS]

The command does nothing, so the difference is all ours: starting, asking, reading, settling. The floor, in the same
run, is an interpreter that does nothing but import what any program that asks over HTTP needs.
"""

import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUDGET_MS = 150.0
"""More than this, as a median, nobody shall notice beside an agent that takes seconds to start."""
COMMAND = ["sh", "-c", "echo done"]
FLOOR = [sys.executable, "-c", "import http.client, json, subprocess"]


def milliseconds(command: list[str], environ: dict[str, str]) -> tuple[float, float]:
    """How long one takes: by the clock, and of the processor, which says more on a machine that is busy."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, env=environ)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took * 1000, used * 1000


def main() -> None:
    """Print the medians of both, of the differences, and of the floor."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = [sys.executable, "-m", "quota_scheduler"]
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "HOME": home, "PYTHONPATH": str(ROOT), "QUOTA_LISTEN": f"127.0.0.1:{port}"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        service = subprocess.Popen([*program, "serve"], env=environ, cwd=home, **quiet)  # type: ignore[call-overload]
        try:
            under = [*program, "run", "--estimate", "1k", "--patience", "30", "--", *COMMAND]
            milliseconds(under, environ)
            turns = [[milliseconds(one, environ) for one in (COMMAND, under, FLOOR)] for _ in range(runs)]
        finally:
            service.terminate()
            service.wait()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, {runs} runs")
    for place, name in enumerate(("clock", "processor")):
        bare, floor = (statistics.median(turn[which][place] for turn in turns) for which in (0, 2))
        added = statistics.median(turn[1][place] - turn[0][place] for turn in turns)
        print(
            f"{name:10} bare {bare:4.0f} ms, added {added:4.0f} ms of {BUDGET_MS:.0f} ms, "
            f"floor {floor:4.0f} ms, {added / floor:.1f} times the floor"
        )


if __name__ == "__main__":
    main()
