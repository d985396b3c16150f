"""Whatever goes wrong with some lines, rows or payloads: they are counted with their place, and change no other.

A few hundred of each by `make test`; `make torture` takes more than a hundred thousand.
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.sources import claude_code, codex, copilot, gemini, opencode, pi, qwen
from quota_scheduler.sources.calls import ModelCall, event_of
from quota_scheduler.sources.transcript import read_lines, telling_lines, usage_lines
from tests.corpus import write
from tests.sources.mutants import mutants
from tests.sources.test_agents import AGENTS, DATA, LABEL, MESSAGES, Ledger, OpenCode

PER_FILE = 50
"""Mutants of one file: its first garbled line is named."""
LONGEST_SECONDS = 2.0
"""What one line may take, of the processor's time; all but the most nested take some microseconds."""
COUNTS = [
    pytest.param(300, id="a few hundred"),
    pytest.param(12_000, id="twelve thousand of each", marks=pytest.mark.torture),
]
READERS = {
    "codex": codex.CodexReader,
    "gemini": gemini.GeminiReader,
    "qwen": qwen.QwenReader,
    "pi": pi.PiReader,
    "copilot": copilot.CopilotReader,
}

pytestmark = pytest.mark.parametrize("count", COUNTS)


def kept(events: Iterable[UsageEvent], keys: Iterable[str]) -> dict[str, tuple[str, Usage]]:
    """What those of the keys say."""
    wanted = set(keys)
    return {event.key: (event.labels.model, event.usage) for event in events if event.key in wanted}


def lines_of(home: Path) -> dict[Path, list[bytes]]:
    return {path: path.read_bytes().splitlines() for path in sorted(home.rglob("*.jsonl"))}


def stands_alone(line: bytes, open_reader) -> bool:
    """Whether a reader remembers nothing of a line."""
    reader = open_reader("x")
    with contextlib.suppress(Exception):
        list(reader.read(line))
    return vars(reader) == vars(open_reader("x"))


def spoil(home: Path, count: int, seed: int, open_reader) -> dict[Path, list[bytes]]:
    """Put mutants between the good lines of a home, and beside them into files of their own; returns each file's.

    What a reader remembers, as a model, a folder or a sum to come, goes into files of its own: nobody can tell a wrong
    one from a right one.
    """
    rng, good = Random(seed), lines_of(home)
    made = mutants([line for lines in good.values() for line in lines], count, seed)
    spoilt: dict[Path, list[bytes]] = {}
    between = [line for line in made[: count // 4] if stands_alone(line, open_reader)]
    for path, lines in good.items():
        for _ in range(len(between) // len(good)):
            lines.insert(rng.randrange(1, len(lines) + 1), between.pop())
        path.write_bytes(b"\n".join(lines) + b"\n")
        spoilt[path] = lines
    place = next(iter(good)).parent
    for start in range(count // 4, count, PER_FILE):
        path = place / f"spoilt-{start}.jsonl"
        spoilt[path] = made[start : start + PER_FILE]
        path.write_bytes(b"\n".join(spoilt[path]) + b"\n")
    return spoilt


def first_garbled(path: Path, lines: list[bytes], garbled: list[bool]) -> list[str]:
    """The place of the first garbled line of a file, as it is named."""
    offset = 0
    for line, is_garbled in zip(lines, garbled, strict=True):
        if is_garbled:
            return [f"{path}, byte {offset}"]
        offset += len(line) + 1
    return []


def check(spoilt, reader_of, scan) -> Ledger:
    """Scan a spoilt home: what a file's reader refuses, and no more, is counted, and the first of each file named."""
    garbled = {}
    for path, lines in spoilt.items():
        read = reader_of(path)
        garbled[path] = [in_time(read, line) for line in lines]
    ledger, places = Ledger(), []
    for batch in ledger.takes(scan(ledger.files)):
        places += batch.garbled
    assert ledger.errors == sum(map(sum, garbled.values()))
    assert sorted(places) == sorted(
        place for path, lines in spoilt.items() for place in first_garbled(path, lines, garbled[path])
    )
    assert all(0 <= amount <= 10**14 for event in ledger.events.values() for amount in event.usage)
    return ledger


def in_time(read, line: bytes) -> bool:
    """Whether a line is garbled. Fails when it takes too long to say so."""
    begun = time.process_time()
    try:
        return bool(read(line))
    except Exception:
        return True
    finally:
        assert time.process_time() - begun < LONGEST_SECONDS, line[:200]


@pytest.mark.parametrize("program", AGENTS)
def test_agents_lines(program, count, tmp_path):
    home = tmp_path / "home"
    for path in DATA.joinpath(program).rglob("*.json*"):
        target = home / path.relative_to(DATA / program)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    clean = Ledger()
    clean.take(AGENTS[program](home).scan({}))
    spoilt, agent = spoil(home, count, 20261128, READERS[program.partition("_")[0]]), AGENTS[program](home)

    def reader_of(path: Path):
        reader = READERS[program.partition("_")[0]](str(path))

        def refuses(line: bytes) -> bool:
            line = line.rstrip(b" \t\r")
            torn = bool(line) and (line[:1] != b"{" or line[-1:] != b"}")
            for said in () if torn else reader.read(line):
                if isinstance(said, ModelCall):
                    event_of(said, "x", LABEL, program)
            return torn

        return refuses

    ledger = check(spoilt, reader_of, agent.scan)
    keys = [event.key for event in clean.events.values()]
    assert kept(ledger.events.values(), keys) == kept(clean.events.values(), keys)


def test_transcripts_lines(count, tmp_path):
    home = tmp_path / "home"
    corpus = write(home, seed=5)
    assert not garbled(b"{}")
    for path, lines in lines_of(corpus.root).items():  # what is garbled already is not mutated
        path.write_bytes(
            b"".join(line + b"\n" for line in lines if line.startswith(b"{") and not in_time(garbled, line))
        )
    labels = claude_code.labeller()

    def scan(states):
        return claude_code.scan([corpus.root], states, labeller=labels)

    clean = Ledger()
    clean.take(scan({}))
    ledger = check(spoil(corpus.root, count, 20261129, lambda _: Memoryless()), lambda _: garbled, scan)
    keys = [event.key for event in clean.events.values()]
    assert kept(ledger.events.values(), keys) == kept(clean.events.values(), keys)


class Memoryless:
    """Each line of a transcript stands for itself."""

    def read(self, _line: bytes) -> list[object]:
        return []


def garbled(line: bytes) -> int:
    """Whether a line of a transcript that may carry usage is garbled."""
    text = bytearray(line + b"\n")
    label = claude_code.labeller().of("x", [Path("x")])
    return read_lines(usage_lines(text, telling_lines(text, len(text))), session="s", labeller=label).errors


def test_opencode_rows(count, tmp_path):
    database, rng = OpenCode(tmp_path / "opencode.db"), Random(20261130)
    for row in MESSAGES:
        database.put(row)
    clean, ledger = Ledger(), Ledger()
    clean.take(opencode.scan([database.path], {}, label=LABEL))
    made = mutants([opencode_line(row) for row in MESSAGES], count, 20261130)
    with sqlite3.connect(database.path) as client:
        for number, data in enumerate(made):
            updated = rng.choice((1, 1, 1, "soon", b"\0", 2**62, -5, 1.5))
            value = rng.choice((data, data.decode(errors="replace"), data.decode("utf-8", "ignore")))
            made[number] = value if isinstance(value, bytes) else value.encode()
            client.execute("INSERT INTO message VALUES (?, ?, ?, ?, ?)", (f"bad{number}", "s", 1, updated, value))
    client.close()
    begun = time.process_time()
    ledger.take(opencode.scan([database.path], {}, label=LABEL))
    assert time.process_time() - begun < LONGEST_SECONDS + count / 1000
    assert (ledger.errors, ledger.unreadable) == (sum(in_time(row_is_garbled, data) for data in made), [])
    keys = [event.key for event in clean.events.values()]
    assert kept(ledger.events.values(), keys) == kept(clean.events.values(), keys)


def opencode_line(row) -> bytes:
    """A message, created when no other was: what stands for its id."""
    data = row["data"]
    if "time" in data:
        data = {**data, "time": {name: at + 7_777_777 for name, at in data["time"].items()}}
    return json.dumps(data).encode()


def row_is_garbled(data: bytes) -> bool:
    message = opencode.message_of(data)
    if call := opencode.call_of("s", message):
        event_of(call, "x", LABEL, "opencode")
    opencode.report_of("s", message)
    return False
