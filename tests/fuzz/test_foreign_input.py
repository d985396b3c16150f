"""Every parser of what others write, under mutated samples and made-up text: a value or one sentence, nothing else.

    sample ──mutant──► parser ──► a value, no number of it negative
                          └────► one of the errors that its caller tells in a sentence

A few hundred of each by `make test`; `make torture` takes more than a million in all and prints how many.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from pydantic import TypeAdapter, ValidationError

from quota_scheduler.api.alerts import SILENCE
from quota_scheduler.api.observations import OBSERVATION
from quota_scheduler.api.tickets import PLAN, PREFLIGHT, REPORT, TICKET
from quota_scheduler.api.usage import EVENT
from quota_scheduler.bills import anthropic, openai
from quota_scheduler.bills.pages import NotThis
from quota_scheduler.cli import spoken
from quota_scheduler.config import load
from quota_scheduler.config.access import token_in
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import parse_holdback, parse_share
from quota_scheduler.core.limits.schedule import Every, parse_span, parse_starts
from quota_scheduler.core.tickets.run_history import EstimateBasis
from quota_scheduler.core.units import Unit, parse_amount
from quota_scheduler.errors import ConfigError
from quota_scheduler.shipping import wire
from quota_scheduler.simulate.run_files import WrongFile, read_runs
from quota_scheduler.sources import codex, copilot, gemini, pi, qwen
from quota_scheduler.sources.headless_runs import HeadlessDoor
from quota_scheduler.sources.json_items import items_of
from quota_scheduler.sources.litellm import LitellmDoor
from quota_scheduler.sources.otlp.door import OtlpDoor
from quota_scheduler.sources.pushed import PushedLabels
from quota_scheduler.sources.records import BadLine, record_of
from quota_scheduler.sources.word.codex_limits import read_rate_limits
from quota_scheduler.sources.word.headers import duration_of, read_answer, retry_pause
from quota_scheduler.sources.word.hooks import read_hook
from quota_scheduler.sources.word.limit_text import read_limit_text
from quota_scheduler.sources.word.rate_limit_info import read_rate_limit_info
from quota_scheduler.sources.word.status_line import read_status_line
from quota_scheduler.sources.word.usage_endpoint import read_usage
from quota_scheduler.sources.word.word import Teller
from tests.sources.mutants import mutants

DATA = Path(__file__).parent.parent / "data"
NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
TELLER = Teller("default", NOW, "fuzz")
LABELS = PushedLabels({}, account="default", accounts={}, team="")
OTLP, LITELLM = OtlpDoor(LABELS, here="host"), LitellmDoor(LABELS)
HEADLESS = HeadlessDoor(lambda *_: (Labels("anthropic", "default"), None))
SENTENCES = (ValueError, ValidationError, BadLine, WrongFile, ConfigError, NotThis, msgspec.DecodeError)
"""What callers of parsers tell in a sentence; every other error is a traceback."""
NESTED = (RecursionError, OverflowError)
"""What callers of readers of lines and bodies tell in a sentence, too: nested too deep, a number of no size."""
ALPHABET = "0123456789.,:%-+$€ kMGTtokensusdhmd/*\\\"'{}[]\0\ud7ff٣½²Ω\u202e\n"


@dataclass(frozen=True)
class Target:
    """A parser, samples of what it reads, and how many of a thousand inputs are made of its alphabet instead."""

    parse: Callable[[bytes], Any]
    samples: tuple[bytes, ...]
    weight: int = 1


def text(parse: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda raw: parse(raw.decode(errors="replace"))


def parsed(parse: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    """Of what is JSON at all: what is none never reaches the parser."""

    def read(raw: bytes) -> Any:
        try:
            said = json.loads(raw)
        except (ValueError, RecursionError):
            return None
        return parse(said)

    return read


def mapping(parse: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], Any]:
    return parsed(lambda said: parse(said) if isinstance(said, dict) else None)


def body(adapter: TypeAdapter[Any], then: Callable[[Any], Any] = lambda made: made) -> Callable[[bytes], Any]:
    return parsed(lambda said: then(adapter.validate_python(said)))


def lines(*names: str) -> tuple[bytes, ...]:
    """Lines of recorded samples."""
    paths = [path for name in names for path in sorted((DATA / name).rglob("*.jsonl"))]
    return tuple(line for path in paths for line in path.read_bytes().splitlines() if line)[:300]


def files(pattern: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted((DATA / "otlp").glob(pattern)))


def encoded(*values: Any) -> tuple[bytes, ...]:
    return tuple(json.dumps(value).encode() for value in values)


def words(*values: str) -> tuple[bytes, ...]:
    return tuple(value.encode() for value in values)


TICKETS = encoded(
    {"key": "k", "labels": {"provider": "anthropic", "team": "growth"}, "class": "low", "estimate": {"tokens": "2.5M"},
     "ttl": "10m", "max_wait": "2h", "deadline": "2026-11-29T09:00:00Z", "resume": {"until": "2026-11-30T09:00:00Z"}},
    {"key": "k", "labels": {"provider": "openai"}, "describe": {"task_type": "testing", "text": "all", "files": 3}},
)  # fmt: skip
EVENTS = encoded(
    {"provider": "anthropic", "key": "r", "at": "2026-11-28T08:00:00Z", "model": "claude-opus-5", "input": 5,
     "output": 7, "cost_usd": 0.25, "web_searches": 1, "labels": {"team": "growth"}, "flags": ["a"], "class": "low"},
)  # fmt: skip
REPORTS = encoded(
    {"provider": "claude", "window": "five_hour", "used_percent": 43, "resets_at": 1795900000},
    {"provider": "anthropic", "throttled": True, "retry_after": "30s"},
)
HEADERS = encoded(
    {"anthropic-ratelimit-unified-5h-utilization": "0.43", "anthropic-ratelimit-unified-5h-reset": "1795900000",
     "anthropic-ratelimit-unified-status": "rejected", "retry-after": "30"},
    {"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0", "retry-after": "1.5"},
    {"x-codex-primary-used-percent": "43.5", "x-codex-primary-window-minutes": "300",
     "x-codex-primary-reset-after-seconds": "1200", "retry-after": "Sat, 28 Nov 2026 10:00:00 GMT"},
)  # fmt: skip
STATUS = encoded(
    {"session_id": "s", "rate_limits": {"five_hour": {"used_percentage": 43.5, "resets_at": 1795900000},
                                        "seven_day": {"used_percentage": 12, "resets_at": 1796000000}}},
)  # fmt: skip
LIMIT_HIT = "You've hit your session limit · resets 5:40pm (Europe/Berlin)"
HOOKS = encoded({"hook_event_name": "StopFailure", "error": "rate_limit", "last_assistant_message": LIMIT_HIT})
NOTICES = words(
    "You've hit your session limit · resets 5:40pm (Europe/Berlin)",
    "You've used 91% of your weekly limit · resets Oct 3, 4pm (UTC)",
    "Claude AI usage limit reached|1795900000",
    "You've hit your usage limit. Try again in 3 days 4 hours 12 minutes.",
)
ENDPOINT = encoded({"five_hour": {"utilization": 43.0, "resets_at": "2026-11-28T12:00:00Z"},
                    "seven_day": {"utilization": 7, "resets_at": None},
                    "extra_usage": {"is_enabled": True, "monthly_limit": 5000, "used_credits": 12.5}})  # fmt: skip
CODEX = encoded({"primary": {"used_percent": 43.5, "window_minutes": 300, "resets_in_seconds": 1200},
                 "secondary": {"used_percent": 7, "window_minutes": 10080, "resets_at": 1795900000}})  # fmt: skip
INFO = encoded({"status": "rejected", "resetsAt": 1795900000, "rateLimitType": "five_hour", "utilization": 0.9})
RUNS = encoded(
    {"type": "result", "session_id": "s", "total_cost_usd": 0.2,
     "modelUsage": {"claude-opus-5": {"inputTokens": 5, "outputTokens": 7, "cacheReadInputTokens": 1}}},
)  # fmt: skip
SHIPMENTS = encoded(
    {"version": wire.VERSION, "host": "h", "sent_at": "2026-11-28T09:00:00Z", "source": "claude_code",
     "events": [{"key": "k", "at": "2026-11-28T08:00:00Z", "provider": "anthropic", "kinds": [1, 2, 3, 4, 5],
                 "labels": {"model": "claude-opus-5"}}]},
)  # fmt: skip
CONFIGS = words(
    "timezone: Europe/Berlin\nlisten: 127.0.0.1:0\nlimits:\n  - {id: a, match: {team: [x, y]}, unit: usd, amount: 100, "
    "window: {every: week, starts: monday 09:00}, holdback: 10%, borrow: 5, overrides: {x: 25}}\n",
    "tokens:\n  - {name: a, role: runner, sha256: "
    + "ab" * 32
    + ", labels: {team: x}, expires: 2027-01-01T00:00:00Z}\n"
    "metrics_auth: true\nrate_limit: {per_second: 5, burst: 9}\ntrusted_proxies: [10.0.0.0/8]\n",
    "prices: {m: {input: 1.5, output: 7}}\nraw_retention: 35d\nrules: {risk_high: 85%}\naging_step: 30m\n",
)
TABLES = words(
    "at,model,input,output,workflow,class\n2026-11-27T09:00:00Z,claude-opus-5,100,20,nightly,low\n"
    "2026-11-27T10:00:00Z,gpt-5,5,1,,normal\n",
    'day,tokens\n2026-11-26,100\n2026-11-27,"1,200"\n',
)
BILLS = encoded(
    {"data": [{"starting_at": "2026-11-27T00:00:00Z", "ending_at": "2026-11-28T00:00:00Z",
               "results": [{"model": "claude-opus-5", "uncached_input_tokens": 5, "output_tokens": 7, "amount": "12.5",
                            "currency": "USD", "cache_creation": {"ephemeral_1h_input_tokens": 2}}]}],
     "has_more": False, "next_page": None},
    {"data": [{"start_time": 1795800000, "end_time": 1795900000,
               "results": [{"input_tokens": 5, "output_tokens": 7, "model": "gpt-5", "num_model_requests": 1,
                            "amount": {"value": 0.06, "currency": "usd"}}]}], "has_more": False, "next_page": None},
)  # fmt: skip


def config_in(raw: bytes, folder: Path) -> Any:
    (folder / "quota.yaml").write_bytes(raw)
    return load(folder / "quota.yaml", {"HOME": str(folder)})


def runs_in(raw: bytes, folder: Path) -> Any:
    (folder / "runs.csv").write_bytes(raw)
    return read_runs(folder / "runs.csv")


def pages(said: dict[str, Any]) -> Any:
    """What each report's reader makes of a page."""
    readers = [*anthropic.readers("admin"), *openai.readers("admin")]
    return [outcome(lambda _, one=one: one.read(said, "default", NOW), b"") for one in readers]


def reader(kind: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda raw: list(kind("x").read(raw))


def export(signal: str, *, is_json: bool = False) -> Callable[[bytes], Any]:
    return lambda raw: OTLP.read(signal, raw, is_json=is_json, now=NOW)


def targets(folder: Path) -> dict[str, Target]:
    """Every parser of foreign input."""
    basis = EstimateBasis()
    exported = encoded(
        {"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "codex"}}]},
                           "scopeLogs": [{"logRecords": [{"timeUnixNano": "1795900000000000000",
                            "body": {"stringValue": "claude_code.api_request"},
                            "attributes": [{"key": "input_tokens", "value": {"intValue": "5"}},
                                           {"key": "model", "value": {"stringValue": "claude-opus-5"}}]}]}]}]},
    )  # fmt: skip
    return {
        "transcripts of Claude Code": Target(record_of, lines("agents/claude_code"), 4),
        "transcripts of Codex": Target(reader(codex.CodexReader), lines("agents/codex", "agents/codex_by_turns"), 3),
        "transcripts of Gemini CLI": Target(reader(gemini.GeminiReader), lines("agents/gemini"), 2),
        "transcripts of Qwen Code": Target(reader(qwen.QwenReader), lines("agents/qwen"), 2),
        "transcripts of Pi": Target(reader(pi.PiReader), lines("agents/pi"), 2),
        "transcripts of Copilot": Target(reader(copilot.CopilotReader), lines("agents/copilot"), 2),
        "OTLP logs, protobuf": Target(export("logs"), files("genai-events-*.pb")),
        "OTLP metrics, protobuf": Target(export("points"), files("genai-metrics-delta-*.pb")),
        "OTLP spans, protobuf": Target(export("spans"), files("genai-spans-*.pb")),
        "OTLP logs, JSON": Target(export("logs", is_json=True), exported, 2),
        "LiteLLM": Target(
            lambda raw: LITELLM.read(items_of(raw), now=NOW),
            tuple((DATA / "litellm/batch.ndjson").read_bytes().splitlines())
        ),
        "headless runs": Target(lambda raw: HEADLESS.read(raw, at=NOW), RUNS, 2),
        "tickets": Target(body(TICKET, lambda made: made.draft(basis, now=NOW)), TICKETS, 2),
        "preflights": Target(body(PREFLIGHT, lambda made: made.draft(basis, now=NOW)), TICKETS),
        "plans": Target(body(PLAN), tuple(b'{"items": [' + ticket + b"]}" for ticket in TICKETS)),
        "lease reports": Target(body(REPORT), encoded({"fence": 7, "usage": {"input": 6, "output": 4}, "ttl": "10m"})),
        "usage": Target(body(EVENT, lambda made: made.event()), EVENTS, 2),
        "observations": Target(body(OBSERVATION, lambda made: made.said(lambda *_: "default", NOW)), REPORTS, 2),
        "silences": Target(body(SILENCE), encoded({"matchers": {"rule": "*"}, "comment": "c", "for": "1h"})),
        "shipments": Target(lambda raw: wire.batch_in(wire.shipment_in(raw)), SHIPMENTS, 2),
        "answers' headers": Target(mapping(lambda said: read_answer(said, TELLER)), HEADERS, 2),
        "pauses": Target(mapping(lambda said: retry_pause({k: str(v) for k, v in said.items()}, NOW)), HEADERS),
        "status lines": Target(mapping(lambda said: read_status_line(said, TELLER)), STATUS, 2),
        "hooks": Target(mapping(lambda said: read_hook(said, TELLER, UTC)), HOOKS, 2),
        "limit notices": Target(text(lambda said: read_limit_text(said, TELLER, UTC)), NOTICES, 2),
        "the usage endpoint": Target(parsed(lambda said: read_usage(said, TELLER)), ENDPOINT, 2),
        "Codex' limits": Target(parsed(lambda said: read_rate_limits(said, TELLER)), CODEX, 2),
        "rate limit info": Target(parsed(lambda said: read_rate_limit_info(said, TELLER)), INFO, 2),
        "bills": Target(mapping(pages), BILLS),
        "durations": Target(text(parse_span), words("5h", "1h30m", "2 days", "90", "1.5h"), 3),
        "durations of headers": Target(text(duration_of), words("6m0s", "1h2m3.5s", "120ms"), 3),
        "amounts": Target(text(parse_amount), words("2.5M", "2_500_000", "300M tokens", "1e3"), 3),
        "amounts of money": Target(text(lambda said: parse_amount(said, Unit.USD)), words("$10", "0.25", "10 USD"), 3),
        "holdbacks": Target(text(lambda said: parse_holdback(said, Unit.TOKENS)), words("10%", "5M"), 2),
        "shares": Target(text(parse_share), words("10%", "99.9%"), 2),
        "starts": Target(text(lambda said: parse_starts(Every.WEEK, said)), words("monday 09:00", "fri 0:30"), 2),
        "spoken windows": Target(text(spoken.window_of), words("claude/five_hour", "claude/weekly/opus")),
        "spoken percentages": Target(text(spoken.percent_of), words("43%", "43", "0.5%"), 2),
        "spoken times": Target(
            text(lambda said: spoken.reset_of(said, NOW, ZoneInfo("Europe/Berlin"))),
            words("17:40", "mon 09:00", "tomorrow 9:00", "Oct 3, 4pm", "in 2h10m", "2026-11-30T18:00+01:00"), 2,
        ),
        "lines of tokens": Target(text(lambda said: token_in(said or "x")), words(
            f"runner:ci:{'ab' * 32} team=growth expires=2027-01-31T00:00:00Z", f"viewer:a:{'cd' * 32}"), 2),
        "configurations": Target(lambda raw: config_in(raw, folder), CONFIGS),
        "recorded runs and traces": Target(lambda raw: runs_in(raw, folder), TABLES),
    }  # fmt: skip


def outcome(parse: Callable[[bytes], Any], raw: bytes) -> Any:
    """What a parser makes of an input: a value, or the error that stands for a sentence. Others are raised."""
    try:
        return parse(raw)
    except (*SENTENCES, *NESTED) as error:
        if isinstance(error, SENTENCES) or raw[:1] in (b"{", b"["):
            return None
        raise


def inputs(target: Target, count: int, seed: int) -> Iterator[bytes]:
    """Mutants of samples, and one in eight made of an alphabet."""
    made, rng = count * 7 // 8, Random(seed)
    if is_json(target.samples[0]):
        yield from mutants(list(target.samples), made, seed)
    else:
        yield from (mangled(rng.choice(target.samples), rng) for _ in range(made))
    for _ in range(count - made):
        yield "".join(rng.choice(ALPHABET) for _ in range(rng.choice((0, 1, 2, 5, 12, 40)))).encode("utf-8", "replace")


def is_json(sample: bytes) -> bool:
    return sample[:1] in (b"{", b"[")


def mangled(sample: bytes, rng: Random) -> bytes:
    """A sample of no JSON with something gone wrong: bits, bytes, a part left out, doubled or of another alphabet."""
    changed = bytearray(sample)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(changed) + 1)
        until = min(len(changed), at + rng.choice((1, 2, 8, 40)))
        match rng.randrange(5):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                del changed[at:until]
            case 2:
                changed[at:at] = changed[at:until] * rng.choice((1, 2, 30))
            case 3:
                changed[at:until] = rng.randbytes(rng.choice((1, 4)))
            case _:
                changed[at:at] = rng.choice(ALPHABET).encode("utf-8", "replace")
    return bytes(changed)


def negatives(value: Any, depth: int = 0) -> list[str]:
    """Numbers below zero, or none at all, among what was read."""
    if isinstance(value, bool) or value is None or depth > 8:
        return []
    if isinstance(value, int | float):
        return [] if value >= 0 and math.isfinite(value) else [str(value)]
    if isinstance(value, dict):
        return [one for part in value.values() for one in negatives(part, depth + 1)]
    if isinstance(value, list | tuple | set | frozenset):
        return [one for part in value for one in negatives(part, depth + 1)]
    fields = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())] or list(
        getattr(value, "__dict__", ())
    )
    parts = [getattr(value, name, None) for name in fields if name not in PLACES and not name.startswith("_")]
    return (
        [one for part in parts for one in negatives(part, depth + 1)]
        if type(value).__module__.startswith("quota")
        else []
    )


PLACES = frozenset({"place"})
"""Where a total stands: those of no file stand below those of files."""
SIGNED = frozenset({"OTLP metrics, protobuf", "bills", "transcripts of Claude Code"})
"""Where a number may stand below zero: a point's weight, a credit, a record that its reader refuses afterwards."""
COUNTS = [
    pytest.param(160, id="a few hundred of each"),
    pytest.param(15_500, id="a million in all", marks=pytest.mark.torture),
]
NAMES = sorted(targets(Path()))
SEEDS = {name: number for number, name in enumerate(NAMES, 1)}
FED: Counter[str] = Counter()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_value_or_a_sentence(name: str, count: int, tmp_path: Path) -> None:
    target = targets(tmp_path)[name]
    wrong: list[tuple[bytes, str]] = []
    for raw in inputs(target, count * target.weight, SEEDS[name]):
        FED[name] += 1
        try:
            made = outcome(target.parse, raw)
        except Exception as error:
            wrong.append((raw[:300], repr(error)[:200]))
            continue
        if name not in SIGNED and (below := negatives(made)):
            wrong.append((raw[:300], f"negative: {below[:5]}"))
    print(f"\nfed {FED[name]:>7} inputs to {name}")
    assert wrong[:5] == []


def test_it_is_more_than_a_million_in_all() -> None:
    many = max(param.values[0] for param in COUNTS)
    assert sum(many * target.weight for target in targets(Path()).values()) >= 10**6
