"""What an agent says about limits while it runs: a limit that ended it, a moment's refusal, windows as they stand."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quota_scheduler.sources.word.word import Word

Record = Mapping[str, Any]
_MAY_SPEAK = frozenset({"rate_limit_event", "result", "system", "assistant", "error", "turn.failed"})
_HOT = re.compile(r"limit|overloaded|quota", re.IGNORECASE)


class Said:
    """Collects the reports of one run, as ``POST /v1/observations`` takes them; ``limit_hit`` is why it ended."""

    def __init__(self, account: str = "") -> None:
        self._account = account
        self.reports: list[dict[str, Any]] = []
        self.limit_hit = ""
        self._heard: set[str] = set()

    def take(self, record: Record) -> None:
        """Take one record; most say nothing, and cost nothing."""
        kind = record.get("type")
        if kind in ("result", "turn.completed") and record.get("is_error") is not True:
            self.limit_hit = ""  # a later step got through
        if kind not in _MAY_SPEAK or (kind == "system" and record.get("subtype") != "api_retry"):
            return
        if kind in ("error", "turn.failed"):
            self._codex(record)
        elif kind == "rate_limit_event" or _is_refusal(record):
            self._claude(record)

    def _claude(self, record: Record) -> None:
        from quota_scheduler.sources.word.headless import SOURCE, USAGE_LIMIT, read_record
        from quota_scheduler.sources.word.word import Teller

        self._keep(read_record(record, Teller(self._account, datetime.now(UTC), SOURCE)))
        if record.get("type") == "result":
            text = str(record.get("result") or "")
            if record.get("api_error") == USAGE_LIMIT or _is_spent(text):
                self.limit_hit = text or "the agent's usage limit is reached"

    def _codex(self, record: Record) -> None:
        error = record.get("error")
        text = str((error if isinstance(error, Mapping) else record).get("message") or "")
        if not _HOT.search(text) or text in self._heard:
            return
        from quota_scheduler.sources.word.codex_limits import SOURCE
        from quota_scheduler.sources.word.limit_text import read_limit_text
        from quota_scheduler.sources.word.word import Teller

        self._heard.add(text)
        self._keep(read_limit_text(text, Teller(self._account, datetime.now(UTC), SOURCE, "openai")))
        if _is_spent(text):
            self.limit_hit = text

    def _keep(self, word: "Word") -> None:
        from quota_scheduler.aside.reports import reports_of

        self.reports += reports_of(word)


def _is_spent(text: str) -> bool:
    from quota_scheduler.sources.word.limit_text import Meaning, meaning_of

    return meaning_of(text) is Meaning.SPENT


def _is_refusal(record: Record) -> bool:
    return record.get("is_error") is True or bool(record.get("isApiErrorMessage")) or record.get("type") == "system"
