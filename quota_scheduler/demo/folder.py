"""Where everything of a demo lies: a folder of its own, gone with it unless it is to be kept."""

import shutil
import tempfile
import time
from pathlib import Path

from quota_scheduler.demo.trouble import DemoTrouble

TRIES, TRY_SECONDS = 40, 0.05
"""A process that is just ending has written its last within two seconds."""


def make(keep: str) -> Path:
    """Make the folder: a new temporary one, or ``keep``, which must be empty or not there yet.

    Raises DemoTrouble where that cannot be.
    """
    try:
        if not keep:
            return Path(tempfile.mkdtemp(prefix="quota-scheduler-demo-"))
        folder = Path(keep).expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise DemoTrouble(f"{folder} is not empty: name a folder that is, or one that is not there yet")
        (folder / "claude").mkdir()
    except FileExistsError:
        raise DemoTrouble(f"{keep} is a file: name a folder") from None
    except OSError as error:
        place = keep or "a temporary folder"
        way = "name another one after --keep" if keep else "set TMPDIR to a folder that is yours"
        raise DemoTrouble(f"the demo cannot write to {place} ({error.strerror}): {way}") from None
    return folder


def remove(folder: Path) -> None:
    """Remove a folder and all in it; what a process that just ends still writes is removed, too."""
    for _ in range(TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(TRY_SECONDS)
