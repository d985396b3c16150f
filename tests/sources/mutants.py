"""Lines that something went wrong with: cut, joined, overwritten, nested, doubled, of other types. Seeded."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any

IDENTITY = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b(?:resp|msg|req|ses|line)_\w+|chatcmpl-\w+|call_\w+"
)
SUM = re.compile(rb'("total_token_usage":\{"input_tokens":)(\d+)')
OTHER_VALUES = (
    None,
    True,
    -1,
    1.5,
    1e308,
    10**30,
    "",
    "x",
    "12",
    "1e9",
    "\ud800",
    [],
    {},
    [[]],
    {"a": []},
    "\0",
    [1, 2],
)
MOST_NESTED = 3_000
"""Deeper than any decoder goes."""


def of_strangers(line: bytes) -> bytes:
    """The same line with other ids: what goes wrong with it must not look like a growing copy of a good one."""
    line = SUM.sub(lambda found: found[1] + b"%d" % (int(found[2]) + 77_777_777), line)
    return IDENTITY.sub(lambda found: found[0][:-6] + b"5tr4ng" if len(found[0]) > 8 else found[0] + b"_s", line)


def _flip(rng: Random, line: bytes, _: bytes) -> bytes:
    changed = bytearray(line)
    for _ in range(rng.choice((1, 1, 1, 2, 8, 40))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: Random, line: bytes, _: bytes) -> bytes:
    start, stop = sorted((rng.randrange(len(line)), rng.randrange(1, len(line) + 1)))
    return rng.choice((line[:stop], line[start:], line[:start] + line[stop:]))


def _join(rng: Random, line: bytes, other: bytes) -> bytes:
    return rng.choice(
        (line + other, line[: rng.randrange(len(line))] + other, line + other[rng.randrange(len(other)) :])
    )


def _overwrite(rng: Random, line: bytes, _: bytes) -> bytes:
    start, length = rng.randrange(len(line)), rng.choice((1, 4, 64, 512))
    junk = rng.choice((b"\0" * length, b"\xff" * length, rng.randbytes(length), b"\\ud83d" * (length // 6 + 1)))
    return line[:start] + junk + line[start + length :]


def _nest(rng: Random, line: bytes, _: bytes) -> bytes:
    depth = rng.choice((1, 2, 50, MOST_NESTED))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    colon = line.find(b":", rng.randrange(len(line))) + 1
    return line[:colon] + opening * depth + b"1" + closing * rng.choice((depth, depth - 1, 0)) + b"," + line[colon:]


def _double(rng: Random, line: bytes, _: bytes) -> bytes:
    """A key again behind itself, with another value."""
    key = rng.choice(re.findall(rb'"\w+":', line) or [b'"x":'])
    value = json.dumps(rng.choice(OTHER_VALUES)).encode()
    return line.replace(key, key + value + b"," + key, 1)


def _retype(rng: Random, line: bytes, _: bytes) -> bytes:
    """Some values of the record, at whatever depth, become values of another type."""
    record = json.loads(line)
    for _ in range(rng.choice((1, 1, 2, 5))):
        holder, key = rng.choice(list(_places(record)))
        holder[key] = deepcopy(rng.choice(OTHER_VALUES))
        if not isinstance(record, dict) or not record:
            break
    return json.dumps(record, separators=(",", ":")).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)


KINDS: Sequence[Callable[[Random, bytes, bytes], bytes]] = (
    _flip,
    _cut,
    _join,
    _overwrite,
    _nest,
    _double,
    _retype,
    _retype,
)


def mutants(lines: Sequence[bytes], count: int, seed: int) -> list[bytes]:
    """So many lines gone wrong, made of lines of strangers; none holds a newline."""
    rng, strange = Random(seed), [of_strangers(line) for line in lines]
    made = []
    while len(made) < count:
        line = rng.choice(KINDS)(rng, rng.choice(strange), rng.choice(strange))
        made.append(line.replace(b"\n", b" ") or b"\0")
    return made
