"""What a headless run of Claude Code printed: what its session has used, and what the provider said meanwhile.

    claude -p --output-format json | stream-json ──► result lines ──► the session's total; the provider's word

Runs with ``--no-session-persistence`` leave no transcript, so what they print is all there is. ``modelUsage`` is what
the session has used since it began, hidden calls and sub-agents included, resumed runs too. As a total of the session
it can never count twice what a transcript lists: only what no call explains counts, as unlisted usage, and a total in
the transcript itself rules over this one. ``usage`` is of the main loop alone, and not read.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from quota_scheduler.core.instants import EPOCH
from quota_scheduler.core.labels import LONGEST_VALUE
from quota_scheduler.core.ledger.unlisted import SessionTotal, StatedUsage
from quota_scheduler.core.units import LARGEST_EVENT
from quota_scheduler.core.usage import Usage
from quota_scheduler.sources.records import MOST_SEARCHES
from quota_scheduler.sources.session_totals import MOST_MODELS, ModelTotal
from quota_scheduler.sources.transcript import Labeller
from quota_scheduler.sources.word.headless import SOURCE, read_record, records_of
from quota_scheduler.sources.word.word import Teller, Word, mapping_of, text_of

BEFORE_FILES = -(2**53)
"""Places of these totals lie below those of every transcript, the later one above: a total in a file is the truer."""


class HeadlessRun(Struct, frozen=True):
    """What a run printed. ``refused`` says what of it could not be understood."""

    word: Word
    totals: tuple[SessionTotal, ...]
    refused: tuple[str, ...] = ()


class HeadlessDoor:
    """Reads what runs printed; ``labeller`` says on whose behalf, as it does for transcripts."""

    def __init__(self, labeller: Labeller) -> None:
        self._labeller = labeller

    def read(self, output: bytes, *, at: datetime, account: str = "", forked: bool = False) -> HeadlessRun:
        """What a run that ended ``at`` an instant printed.

        ``account`` is over that of the configuration. ``forked`` says that it began with what another session had used:
        that is taken out, where the run says how much it was.
        """
        records = list(records_of(output))
        cwd = next((text_of(record.get("cwd")) for record in records if record.get("type") == "system"), "")
        labels, _ = self._labeller(cwd, "", "", "")
        teller, word = Teller(account or labels.account, at, SOURCE), Word()
        for record in records:
            word.add(read_record(record, teller))
        totals, refused = [], list(word.refused)
        for session, results in _by_session(records).items():
            stated, problem = self._stated(results, session, cwd, account, forked=forked)
            refused += [problem] if problem else []
            if stated:
                totals.append(SessionTotal(session, place_at(at), at, stated))
        return HeadlessRun(word, tuple(totals), tuple(refused))

    def _stated(
        self, results: list[Mapping[str, Any]], session: str, cwd: str, account: str, *, forked: bool
    ) -> tuple[tuple[StatedUsage, ...], str]:
        """The session's total by model, by the last result that has one; a sentence where that is garbled."""
        began = _began_with(results[0]) if forked else {}
        models = mapping_of(results[-1].get("modelUsage"))
        if len(models) > MOST_MODELS:
            return (), f"session {session[:36]}: {len(models)} models in one session are a garbled result"
        stated = []
        for model, figures in models.items():
            total = _total_of(figures)
            if total is None or len(model) > LONGEST_VALUE:
                return (), f"session {session[:36]}: modelUsage of {model[:40]!r} cannot be understood"
            usage, searches = total
            labels, priority = self._labeller(cwd, model, "", session)
            labels = labels._replace(account=account or labels.account)
            own = _less(usage, began.get(model, Usage()))
            stated.append(StatedUsage(labels, priority, own, searches))
        return tuple(stated), ""


def _by_session(records: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The results with a total, by session, in order: a run with an agent behind it prints several."""
    results: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        session = text_of(record.get("session_id"))
        if record.get("type") == "result" and session and mapping_of(record.get("modelUsage")):
            results.setdefault(session[:LONGEST_VALUE], []).append(record)
    return results


def _began_with(first: Mapping[str, Any]) -> dict[str, Usage]:
    """What a session had used before its first result: its total less what came since; only stream-json says that."""
    since = mapping_of(first.get("model_usage_since_last_result"))
    if not since:
        return {}
    began = {}
    for model, figures in mapping_of(first.get("modelUsage")).items():
        total, more = _total_of(figures), _total_of(since.get(model, {}))
        if total and more:
            began[model] = _less(total[0], more[0])
    return began


def _less(usage: Usage, other: Usage) -> Usage:
    return Usage(*(max(0, a - b) for a, b in zip(usage, other, strict=True)))


def _total_of(figures: object) -> tuple[Usage, int] | None:
    """The tokens and searches of one model; None for what nobody can have used."""
    try:
        total = msgspec.convert(figures, ModelTotal, strict=False)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None
    usage, searches = total.usage(), total.web_search_requests or 0
    return None if usage.tokens > LARGEST_EVENT or searches > MOST_SEARCHES else (usage, searches)


def place_at(at: datetime) -> int:
    """The place of a total that stands in no file."""
    return BEFORE_FILES + int((at - EPOCH).total_seconds() * 1000)
