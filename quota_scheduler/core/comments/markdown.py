"""Values that others chose, inside a comment: shown as they are, and read as nothing but text.

A code span is the one place in which GitHub makes no mention, link, reference, picture or tag of what it finds.
"""

import re
import unicodedata
from collections.abc import Iterable

LONGEST_VALUE = 200
LONGEST_BODY = 65_000
"""Bytes of a whole comment. GitHub takes 65,536 characters."""
CUT = "\n\n… (cut: the rest is too long for a comment)"


def code(value: str) -> str:
    """A value as a code span; its line breaks and invisible characters become spaces, a long one is cut."""
    shown = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in value).strip()
    shown = shown if len(shown) <= LONGEST_VALUE else f"{shown[:LONGEST_VALUE]}…"
    if not shown:
        return "` `"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def codes(values: Iterable[str], *, most: int = 10) -> str:
    """Several values: the first ones, and how many more there are."""
    every = list(values)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(code(value) for value in every[:most]) + more


def within(body: str, most: int = LONGEST_BODY) -> str:
    """A comment that GitHub takes: cut after its last whole line where it is too long."""
    raw = body.encode()
    if len(raw) <= most:
        return body
    kept = raw[: most - len(CUT.encode())].decode(errors="ignore")
    return kept.rpartition("\n")[0] + CUT
