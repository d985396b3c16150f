"""``hook``: hears what a hook is told, ends with 0 at once: one that fails or waits holds up a turn.

It prints nothing, unless ``run`` started the agent and has something to say to it.
"""

from __future__ import annotations

from quota_scheduler.aside.begin import MOST_BYTES, Options, in_background, standard_input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def run(options: Options, environ: Mapping[str, str]) -> int:
    """Hear a hook's input in the background."""
    said = standard_input()
    if folder := environ.get("QUOTA_RUN_FOLDER"):
        from quota_scheduler.aside.live import words_for

        if words := words_for(said, folder):
            print(words, flush=True)
    if 0 < len(said) <= MOST_BYTES and b"StopFailure" in said:
        in_background(lambda: _tell(said, options, environ), we_stay=False)
    return 0


def _tell(said: bytes, options: Options, environ: Mapping[str, str]) -> None:
    from quota_scheduler.aside.teller import Messenger

    Messenger(options, environ).hook(said)
