"""A small generator of Claude Code transcripts whose exact totals are booked while it writes.

    corpus = write(tmp_path, seed=7)          # files under tmp_path/projects, and what they must add up to
    corpus.by_day["2026-02-03", "claude-opus-5"] == [input, cache_read, cache_write_5m, cache_write_1h, output, calls]

What stands in it: responses that grow over several lines, replays in other files, side-question replays, mirrored
progress records, nested, flat and absent cache writes, spaces after colons, null fields, quoted usage in tool results,
usage in ``toolUseResult``, made-up error records, garbled and torn lines, half characters, days that change in the
middle of a session, and dates nine months apart.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

MODELS = ("claude-opus-5", "claude-sonnet-5", "claude-haiku-4-5-20251001")
START = datetime(2026, 2, 3, 22, 30, tzinfo=UTC)
TORN = b'{"type":"assistant","message":{"id":"msg_torn","usage":{"input_tokens":5,'
COMPACT, SPACED, WIDE = (",", ":"), (", ", ": "), (" , ", " :\t")


@dataclass
class Corpus:
    """What was written: exact totals by (UTC day, model), and how many garbled lines a reader meets."""

    root: Path
    rng: Random
    by_day: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * 6))
    garbled: int = 0
    serial: Iterator[int] = field(default_factory=count)

    def name(self, kind: str) -> str:
        """A fresh id."""
        return f"{kind}_{next(self.serial):05d}{self.rng.getrandbits(40):010x}"

    def book(self, at: datetime, model: str, kinds: list[int]) -> None:
        """Count one response."""
        total = self.by_day[at.date().isoformat(), model]
        for i, tokens in enumerate((*kinds, 1)):
            total[i] += tokens


@dataclass
class Session:
    """One file being written, and the instant its clock shows."""

    corpus: Corpus
    path: Path
    at: datetime
    id: str
    cwd: str
    separators: tuple[str, str] = COMPACT
    side: bool = False
    lines: list[bytes] = field(default_factory=list)

    def write(self, **record: Any) -> bytes:
        """Append one line."""
        head = {
            "parentUuid": None,
            "isSidechain": self.side,
            "cwd": self.cwd,
            "sessionId": self.id,
            "version": "2.1.300",
        }
        tail = {"uuid": self.corpus.name("line"), "timestamp": stamp(self.at)}
        line = json.dumps({**head, **record, **tail}, ensure_ascii=False, separators=self.separators).encode() + b"\n"
        self.lines.append(line)
        return line

    def response(self, *, kinds: list[int] | None = None, style: str = "nested") -> tuple[str, list[bytes]]:
        """One API response in several growing lines; booked at the last, the first with the full total."""
        rng, message, model = self.corpus.rng, self.corpus.name("msg"), self.corpus.rng.choice(MODELS)
        kinds = kinds or [
            rng.randrange(400),
            rng.randrange(180_000),
            rng.randrange(4000),
            rng.randrange(4000),
            rng.randrange(1, 3000),
        ]
        if style != "nested":
            kinds = [kinds[0], kinds[1], kinds[2] if style == "flat" else 0, 0, kinds[4]]
        request = self.corpus.name("req")
        outputs = [*sorted(rng.randrange(1, 9) for _ in range(rng.randrange(3))), kinds[4] + 9]
        kinds[4] += 9
        written = []
        for output in outputs:
            self.at += timedelta(milliseconds=rng.randrange(200, 9000))
            usage = usage_of([*kinds[:4], output], style)
            written.append(self.write(type="assistant", requestId=request, message=message_of(message, model, usage)))
        self.corpus.book(self.at, model, kinds)
        return message, written

    def tool_result(self) -> None:
        """A tool result that quotes usage and carries usage of its own: neither counts."""
        quoted = json.dumps(
            {"type": "assistant", "message": {"usage": {"input_tokens": 999_999}}}
        ) * self.corpus.rng.randrange(1, 40)
        self.write(
            type="user",
            message={"role": "user", "content": [{"type": "tool_result", "content": quoted}]},
            toolUseResult={"stdout": quoted, "usage": {"input_tokens": 5000, "output_tokens": 900}},
        )

    def save(self, *, torn: bytes = b"") -> None:
        """Write the file, leaving ``torn`` behind its last newline."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"".join(self.lines) + torn)


def stamp(at: datetime) -> str:
    """An instant as the client writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def message_of(message: str, model: str, usage: dict[str, Any]) -> dict[str, Any]:
    """A message with some content before its usage, as the client orders it."""
    content = [{"type": "text", "text": 'Ünïcode “quotes” and "usage":{ in text'}]
    return {"model": model, "id": message, "role": "assistant", "content": content, "stop_reason": None, "usage": usage}


def usage_of(kinds: list[int], style: str) -> dict[str, Any]:
    """A usage object: nested cache writes beside a wrong flat number, only the flat number, or neither."""
    usage: dict[str, Any] = {"input_tokens": kinds[0], "cache_read_input_tokens": kinds[1], "output_tokens": kinds[4]}
    if style == "nested":
        nested = {"ephemeral_5m_input_tokens": kinds[2], "ephemeral_1h_input_tokens": kinds[3]}
        usage |= {"cache_creation_input_tokens": 0, "cache_creation": nested}
    elif style == "flat":
        usage |= {"cache_creation_input_tokens": kinds[2], "cache_creation": None}
    return {**usage, "service_tier": None, "speed": None, "iterations": [{"type": "message", **usage}]}


def write(root: Path, *, seed: int = 7, sessions: int = 6, responses: int = 12) -> Corpus:
    """Write a corpus under ``root/projects``: ``sessions`` files and their sub-agents, over nine months."""
    corpus = Corpus(root, Random(seed))
    head: list[bytes] = []
    for i in range(sessions):
        session = _session(corpus, i)
        session.lines += head
        session.write(type="summary", summary="what was done")
        parents = [_turn(session, style) for style in corpus.rng.choices(("nested", "flat", "none"), k=responses)]
        _oddities(session)
        session.save(torn=TORN if i % 3 == 2 else b"")
        _subagent(corpus, session, parents)
        head = session.lines[: corpus.rng.randrange(1, 9)] if i % 2 else []
    return corpus


def _session(corpus: Corpus, i: int) -> Session:
    name, cwd = corpus.name("session"), f"/srv/work/{corpus.rng.choice(('growth', 'billing', 'search'))}"
    path = corpus.root / "projects" / cwd.replace("/", "-") / f"{name}.jsonl"
    return Session(corpus, path, START + timedelta(days=45 * i), name, cwd, (COMPACT, SPACED, WIDE)[i % 3])


def _turn(session: Session, style: str) -> str:
    session.at += timedelta(minutes=session.corpus.rng.randrange(20))
    session.write(type="user", message={"role": "user", "content": "go on"})
    message, _ = session.response(style=style)
    session.tool_result()
    return message


def _oddities(session: Session) -> None:
    """What a reader must step over, and two things it must not."""
    zero = message_of("0d7c-uuid", "<synthetic>", usage_of([0] * 5, "flat"))
    session.write(type="assistant", error="rate_limit", isApiErrorMessage=True, message=zero)
    session.write(type="system", subtype="turn_duration", usage="an odd value")
    session.lines += [
        b"\n",
        b"not json at all\n",
        b'{"type":"assistant","message":{"usage":{"input_tokens":-3}}}\n',
        TORN + b"\n",
    ]
    session.corpus.garbled += 2
    _, lines = session.response()
    session.lines[-1] = lines[-1].replace(b"\xc3\x9c", b"\\ud83d")


def _subagent(corpus: Corpus, parent: Session, parents: list[str]) -> None:
    """A sub-agent's file: own responses, one also mirrored by the parent, and replays of the parent's messages."""
    path = parent.path.with_suffix("") / "subagents" / f"agent-{corpus.name('a')}.jsonl"
    agent = Session(corpus, path, parent.at, parent.id, parent.cwd, side=True)
    _, lines = agent.response()
    record = json.loads(lines[-1])
    call = {key: record[key] for key in ("timestamp", "requestId", "message", "uuid")}
    parent.write(type="progress", data={"type": "agent_progress", "message": {"type": "assistant", **call}})
    parent.save(torn=TORN if parent.path.read_bytes().endswith(TORN) else b"")
    for message in corpus.rng.sample(parents, 3):
        usage = usage_of([3, 500_000, 0, 0, 7], "flat")
        agent.write(type="assistant", requestId=corpus.name("req"), message=message_of(message, MODELS[0], usage))
    agent.response()
    agent.save()
