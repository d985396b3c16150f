"""Answers of a replay as a picture: for each class and policy, how much was done, left unfinished, and denied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from quota_scheduler.core.priority import CLASSES

PARTS = (("done", "#2f7d4f"), ("unfinished", "#c9a227"), ("denied", "#b3352b"))
"""What became of tokens, from the bottom of a bar to its top; dark enough to tell apart in grey."""
BAR = 26
"""Width of a bar, in pixels, as all of these."""
GAP = 34
"""Between two classes."""
HEIGHT = 160
"""Of a whole bar."""
TOP = 46
"""Above the bars of a case: its title."""
BELOW = 118
"""Below them: names of policies, upright, and of the class."""
LEFT = 46
"""Before the first bar: the scale."""


def picture(document: Mapping[str, Any]) -> str:
    """Return the picture as SVG: one row of bars for each case."""
    cases = document["cases"]
    rows = [_case(case, number * (TOP + HEIGHT + BELOW)) for number, case in enumerate(cases)]
    wide = max(LEFT + _width(case) for case in cases) + GAP
    tall = len(cases) * (TOP + HEIGHT + BELOW) + 30
    legend = "".join(
        f'<rect x="{LEFT + 110 * n}" y="{tall - 22}" width="10" height="10" fill="{fill}"/>'
        f'<text x="{LEFT + 110 * n + 15}" y="{tall - 13}">{name}</text>'
        for n, (name, fill) in enumerate(PARTS)
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {max(wide, 380)} {tall}" '
            'font-family="sans-serif" font-size="11" role="img">',
            f"<title>{escape(_title(document))}</title>",
            f'<rect width="{max(wide, 380)}" height="{tall}" fill="#ffffff"/>',
            *rows,
            legend,
            "</svg>",
            "",
        ]
    )


def _title(document: Mapping[str, Any]) -> str:
    return f"{document['runs']:,} runs from {document['since']} to {document['until']}: what became of their tokens"


def _classes(case: Mapping[str, Any]) -> Sequence[str]:
    return [name for name in CLASSES if any(row["classes"][name]["demand"] for row in case["policies"])]


def _width(case: Mapping[str, Any]) -> int:
    return len(_classes(case)) * (len(case["policies"]) * BAR + GAP)


def _case(case: Mapping[str, Any], top: int) -> str:
    base = top + TOP + HEIGHT
    parts = [f'<text x="{LEFT}" y="{top + 24}" font-size="14">{escape(case["case"])}</text>']
    for share in (0, 50, 100):
        y = base - HEIGHT * share / 100
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{share} %</text>')
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + _width(case)}" y1="{y:.0f}" y2="{y:.0f}" stroke="#dddddd"/>')
    for place, name in enumerate(_classes(case)):
        left = LEFT + place * (len(case["policies"]) * BAR + GAP)
        for number, row in enumerate(case["policies"]):
            parts.append(_bar(left + number * BAR, base, row["policy"], name, row["classes"][name]))
        parts.append(f'<text x="{left}" y="{base + BELOW - 14}" font-weight="bold">{name}</text>')
    return "\n".join(parts)


def _bar(x: int, base: int, policy: str, name: str, figures: Mapping[str, Any]) -> str:
    y, parts = float(base), []
    for part, fill in PARTS:
        share = figures[part] / figures["demand"] if figures["demand"] else 0.0
        y -= HEIGHT * share
        parts.append(
            f'<rect x="{x}" y="{y:.1f}" width="{BAR - 4}" height="{HEIGHT * share:.1f}" fill="{fill}">'
            f"<title>{policy}, {name}: {share:.1%} {part}</title></rect>"
        )
    middle = x + BAR / 2
    label = f'<text transform="translate({middle:.0f} {base + 8}) rotate(90)">{policy}</text>'
    return "".join(parts) + label
