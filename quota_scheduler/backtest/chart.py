"""A picture of the errors of several methods: bars of WAPE, one group per kind of case."""

from collections.abc import Sequence

from quota_scheduler.backtest.scores import ScoreRow

COLOURS = {"weighted-mean": "#b0b7c3", "pro-rata": "#8f9bb3", "mean-7": "#5b7db1", "ours": "#d1495b"}
OTHER = "#444444"
BAR = 14
"""Width of a bar, in pixels, as all of these."""
GAP = 26
"""Between two groups of bars."""
HEIGHT = 180
"""Of the tallest bar."""
LEFT = 30
"""Before the first group."""


def bars(rows: Sequence[ScoreRow]) -> str:
    """Return the picture as SVG."""
    groups = list(dict.fromkeys(row.cases for row in rows))
    names = list(dict.fromkeys(row.method for row in rows))
    wide = len(groups) * (len(names) * BAR + GAP) + 2 * LEFT
    top = max((row.wape for row in rows), default=0.0) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {HEIGHT + 70}" '
        'font-family="sans-serif" font-size="10">',
        '<text x="8" y="14">WAPE by method (lower is better)</text>',
    ]
    for place, group in enumerate(groups):
        left = LEFT + place * (len(names) * BAR + GAP)
        parts += [_bar(left + names.index(row.method) * BAR, row, top) for row in rows if row.cases == group]
        parts.append(f'<text x="{left}" y="{HEIGHT + 38}">{group}</text>')
    parts += [_legend(LEFT + place * 80, name) for place, name in enumerate(names)]
    return "\n".join([*parts, "</svg>"])


def _bar(x: int, row: ScoreRow, top: float) -> str:
    tall = HEIGHT * row.wape / top
    return (
        f'<rect x="{x}" y="{HEIGHT + 24 - tall:.1f}" width="{BAR - 2}" height="{tall:.1f}" '
        f'fill="{COLOURS.get(row.method, OTHER)}"><title>{row.method} {row.cases}: {row.wape:.3f}</title></rect>'
    )


def _legend(x: int, name: str) -> str:
    fill = COLOURS.get(name, OTHER)
    return (
        f'<rect x="{x}" y="{HEIGHT + 50}" width="10" height="10" fill="{fill}"/>'
        f'<text x="{x + 14}" y="{HEIGHT + 59}">{name}</text>'
    )
