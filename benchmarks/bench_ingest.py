"""Reading transcripts into usage events, beside the floor of reading the files and counting newlines.

    python -m benchmarks.bench_ingest [--sessions 300] [--responses 400] [--rounds 3]

Both run interleaved in one process on the same generated corpus; the ratio is what to compare between machines.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from quota_scheduler.sources.claude_code import labeller, scan
from quota_scheduler.sources.tail import CHUNK
from tests.corpus import write


def floor(files: list[Path]) -> int:
    """Read every byte and count the lines; returns how many."""
    buffer, lines = bytearray(CHUNK), 0
    for path in files:
        with path.open("rb", buffering=0) as file:
            while got := file.readinto(buffer):
                lines += buffer.count(b"\n", 0, got)
    return lines


def read(root: Path) -> int:
    """Read every usage event; returns how many."""
    return sum(len(batch.events) for batch in scan([root], {}, labeller=labeller()))


def seconds(work: Callable[[], int]) -> float:
    """How long one run takes."""
    start = perf_counter()
    work()
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--responses", type=int, default=400, help="responses per session")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, sessions=options.sessions, responses=options.responses)
        files = sorted(root.rglob("*.jsonl"))
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        runs = [(seconds(lambda: floor(files)), seconds(lambda: read(root))) for _ in range(options.rounds)]
        lowest, reader = (median(times) for times in zip(*runs, strict=True))
        print(f"corpus  {megabytes:8.1f} MB in {len(files)} files, {read(root)} events")
        print(f"floor   {megabytes / lowest:8.0f} MB/s   read and count newlines")
        print(f"reader  {megabytes / reader:8.0f} MB/s   {reader / lowest:.1f} x the floor's time")


if __name__ == "__main__":
    main()
