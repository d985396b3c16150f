"""The teller: what was said, parsed, and sent to the service; in the background, where nobody waits for it."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from quota_scheduler.aside.address import ServiceAddress
from quota_scheduler.aside.begin import Options, state_folder
from quota_scheduler.aside.memory import Kept
from quota_scheduler.aside.reports import reports_of
from quota_scheduler.sources.word import hooks, status_line
from quota_scheduler.sources.word.word import Teller as Whose
from quota_scheduler.sources.word.word import Word

REPEAT_SECONDS = 30.0
"""The same words are not sent again within this: an agent draws its line several times a second."""


class Messenger:
    """Tells the service what an agent said."""

    def __init__(self, options: Options, environ: Mapping[str, str]) -> None:
        self._account, self._environ = options.account, environ
        self._memory = Kept(state_folder(environ))
        self._service = ServiceAddress(options.listen, environ)

    def status_line(self, said: bytes) -> None:
        """Tell what a status line was handed."""
        self._tell(said, status_line.SOURCE, status_line.read_status_line)

    def hook(self, said: bytes) -> None:
        """Tell what a hook was handed."""
        self._tell(said, hooks.SOURCE, hooks.read_hook)

    def _tell(self, said: bytes, source: str, read: Callable[[Mapping[str, Any], Whose], Word]) -> None:
        told = json.loads(said)
        if not isinstance(told, dict):
            return
        now = time.time()
        word = read(told, Whose(account=self._account, at=datetime.fromtimestamp(now, UTC), source=source))
        if word.is_empty:
            return
        reports = reports_of(word, folder=folder_of(told, self._environ))
        words = json.dumps([{**report, "observed_at": ""} for report in reports])
        if self._memory.was_just_sent(words, now, REPEAT_SECONDS):
            return
        everything = [*self._memory.unsent(), *reports]
        answer = self._service.post("/v1/observations", everything)
        if answer is None:
            self._memory.keep(everything)
        else:
            self._memory.sent(words, now, answer.get("waiting"))


def folder_of(told: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Where the program keeps its files, which may tell its account: as it was told, else where its transcript lies."""
    named = environ.get("CLAUDE_CONFIG_DIR", "")
    path = told.get("transcript_path")
    above, found, _ = path.partition("/projects/") if isinstance(path, str) else ("", "", "")
    return named or (above if found else "")
