"""Bars, and text cut to the columns of a terminal that it really takes."""

import shutil
import sys
import unicodedata
from collections.abc import Sequence

EIGHTHS = " ▏▎▍▌▋▊▉"
FULL = "█"
CUT = "…"
NARROWEST = 60


def terminal_width() -> int:
    """The columns there are: those of the terminal, COLUMNS, or 80; below ``NARROWEST`` lines wrap."""
    return max(NARROWEST, shutil.get_terminal_size((80, 24)).columns)


def width_of(text: str) -> int:
    """The columns a text takes: East Asian signs take two, marks above others none."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )


def cut(text: str, width: int) -> str:
    """A text in at most ``width`` columns; what is cut off shows as a dot."""
    if width_of(text) <= width:
        return text
    kept = ""
    for sign in text:
        if width_of(kept + sign) > width - 1:
            break
        kept += sign
    return kept + ellipsis()


def padded(text: str, width: int, *, right: bool = False) -> str:
    """A text in exactly ``width`` columns where it is not longer."""
    room = " " * max(0, width - width_of(text))
    return room + text if right else text + room


def bar(share: float, width: int) -> str:
    """A bar of ``share`` (0-1) of ``width`` columns, to an eighth; something shows for anything above nothing."""
    eighths = min(width * 8, max(round(share * width * 8), 1 if share > 0 else 0))
    if not shows_blocks():
        return "#" * ((eighths + 7) // 8)
    whole, rest = divmod(eighths, 8)
    return (FULL * whole + (EIGHTHS[rest] if rest else "")).rstrip()


def shrunk(widths: Sequence[int], most: int, *, least: int = 8) -> list[int]:
    """Widths of columns that together take at most ``most``: the widest give way first, none below ``least``."""
    narrowed = list(widths)
    while sum(narrowed) > most and max(narrowed) > least:
        narrowed[narrowed.index(max(narrowed))] -= 1
    return narrowed


def ellipsis() -> str:
    """What shows that something was cut off."""
    return CUT if shows_blocks() else "~"


def shows_blocks() -> bool:
    """Whether what is printed may hold more than ASCII."""
    try:
        (FULL + CUT).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
