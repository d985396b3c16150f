"""The end of the process, when a library has left a thread behind."""

import subprocess
import sys
import time

TRICKLING = """
import threading, time
from quota_scheduler.cli.serve import leave
threading.Thread(target=time.sleep, args=(120,)).start()
print("stopped", flush=True)
leave()
"""


def test_R10_a_thread_that_still_waits_for_a_receiver_does_not_keep_the_process() -> None:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", TRICKLING], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "stopped\n")
    assert time.monotonic() - started < 60
