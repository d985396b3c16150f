"""The service of the demo, a process of its own that ends when its demo does, however that ends.

demo ──stdin, never written to──► child     end of file: the demo is gone, and so are we
"""

import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from quota_scheduler.demo import folder as folders

LOG = "service.log"
KEEP = "--keep"
END_SECONDS = 5.0
"""How long an orderly end may take."""
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")
"""What it takes to run: none of the user's settings, tokens or folders."""


class ServiceChild:
    """The service as a child process."""

    def __init__(self, folder: Path, environ: Mapping[str, str], *, kept: bool) -> None:
        """``folder`` holds ``quota.yaml``, and becomes its home; ``kept``: it stays when all is over.

        ``environ`` is the user's; the service gets of it what it takes to run, and nothing that is about them.
        """
        self._folder = folder
        variables = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
        with (folder / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(folder), *([KEEP] if kept else [])],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=folder,
                env=variables | {"HOME": str(folder)}, start_new_session=True,
            )  # fmt: skip

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    @property
    def last_words(self) -> str:
        """The last line it has said."""
        lines = (self._folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"nothing; it ended with status {self._process.returncode}"

    def end(self) -> None:
        """End it: in order, or else at once."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def main() -> None:
    """Serve, until told to end or the demo is gone."""
    folder, kept = Path(sys.argv[1]), KEEP in sys.argv[2:]
    threading.Thread(target=_follow, args=(folder, kept), daemon=True).start()
    sys.argv = ["quota-scheduler", "--config", str(folder / "quota.yaml"), "serve"]
    runpy.run_module("quota_scheduler", run_name="__main__")


def _follow(folder: Path, kept: bool) -> None:
    """Wait for the end of the demo, and go with it."""
    while os.read(sys.stdin.fileno(), 1):
        continue
    if kept:
        os.kill(os.getpid(), signal.SIGTERM)
        return
    folders.remove(folder)
    os._exit(0)


if __name__ == "__main__":
    main()
