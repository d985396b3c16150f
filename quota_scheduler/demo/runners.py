"""The dozen runners: threads that ask to run, wait their turn, work, and settle, as any client of the service does."""

import random
import threading
import uuid
from datetime import timedelta
from pathlib import Path

from quota_scheduler.client.connection import Client
from quota_scheduler.client.errors import QuotaError
from quota_scheduler.demo import transcripts
from quota_scheduler.demo.world import ACCOUNT, MODEL, RUNNERS, WINDOW, Runner

APART_SECONDS = 0.25
"""Between the first runs of two runners."""
UNEVEN = 0.25
"""Pauses are up to so much longer or shorter, as a share."""


class Crew:
    """All runners, from ``start`` to ``stop``."""

    def __init__(self, url: str, folder: Path, window: timedelta) -> None:
        """``url`` is the service, ``folder`` holds the transcripts; all goes as fast as the ``window`` is short."""
        self._pace = window / WINDOW
        self._client = Client(url, "", patience=2.0, spool=folder / "client-spool.jsonl")
        self._root = folder / "claude"
        self._stop = threading.Event()

    def start(self) -> None:
        """Let them begin, one after another."""
        for n, runner in enumerate(RUNNERS):
            work = threading.Thread(
                target=self._work, args=(runner, n * APART_SECONDS * self._pace), name=runner.name, daemon=True
            )
            work.start()

    def stop(self) -> None:
        """Let nobody begin anything more; who waits for an answer of the service ends with it."""
        self._stop.set()

    def _work(self, runner: Runner, delay: float) -> None:
        chance, wait = random.Random(runner.name), delay
        while not self._stop.wait(wait):
            try:
                self._run(runner)
            except QuotaError:
                continue  # told to give up, or the service is gone: whoever watches it says so
            finally:
                wait = runner.pause * self._pace * chance.uniform(1 - UNEVEN, 1 + UNEVEN)

    def _run(self, runner: Runner) -> None:
        session = str(uuid.uuid4())
        if not runner.asks:
            self._call(runner, session)
            return
        key = f"{runner.name} {session[:8]}"
        with self._client.lease(
            key, account=ACCOUNT, team=runner.team, workflow=runner.workflow, model=MODEL, session=session,
            estimate={"tokens": runner.estimate}, priority=runner.priority, stop=self._stop,
        ):  # fmt: skip
            for _ in range(runner.calls):
                self._call(runner, session)

    def _call(self, runner: Runner, session: str) -> None:
        """One call of the model: it takes its time, then stands in the transcript."""
        if not self._stop.wait(runner.seconds * self._pace / runner.calls):
            transcripts.append(self._root, session, runner.folder, runner.tokens)
