"""How far something is that takes its time: on a terminal one line that moves, elsewhere a line every few seconds."""

import sys
import time
from collections.abc import Callable

import click

SECONDS = 5.0
"""Between two lines where nobody sees one move: what is over sooner says nothing."""


def progress(what: str = "played", *, clock: Callable[[], float] = time.monotonic) -> Callable[[float], None]:
    """Return who hears which share is done, 0 to 1, and says so on standard error."""
    if sys.stderr.isatty():
        return lambda share: click.echo(f"\r{share:4.0%} {what}" + "\r\x1b[K" * (share >= 1), nl=False, err=True)
    last = clock()

    def said(share: float) -> None:
        nonlocal last
        if share < 1 and clock() - last >= SECONDS:
            last = clock()
            click.echo(f"{share:.0%} {what}", err=True)

    return said
