"""What was used over time, as a document: the same for the API and for the command line beside the file."""

import csv
import io
from typing import Any

from quota_scheduler.core.history.asking import Question
from quota_scheduler.core.history.history import FIGURES, History, history
from quota_scheduler.core.history.periods import names_between
from quota_scheduler.core.labels import matches
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.store import Transaction, ledger
from quota_scheduler.store import history as rows

FORMULA = frozenset("=+-@\t\r")
"""What makes a cell a formula in spreadsheets."""


def usage_history(tx: Transaction, asked: Question, scope: Scope = EVERYBODY) -> History:
    """The rows of a scope that were asked for, and what they add up to."""
    sets = {number: labels for number, (labels, _) in ledger.label_sets(tx).items() if scope.holds(labels)}
    chosen = [number for number, labels in sets.items() if matches(asked.match, labels)]
    if not asked.needs_events:
        return history(asked, rows.from_rollups(tx, asked, chosen))
    sums = rows.from_events(tx, asked, chosen)
    by_agent = any(name == "agent" for name, _ in asked.match)  # sums by hour know of no agent
    return history(asked, sums, everything=None if by_agent else rows.in_span(tx, asked, chosen))


def history_document(tx: Transaction, asked: Question, scope: Scope = EVERYBODY) -> dict[str, Any]:
    """The same as JSON types; of rows by time alone also the span's ``periods``, so that a picture has its gaps."""
    document = usage_history(tx, asked, scope).document()
    if asked.period is None or len(asked.by) > 1:
        return document
    return {**document, "periods": names_between(asked.period, asked.since, asked.until, asked.zone)}


def csv_of(document: dict[str, Any]) -> str:
    """The rows of a document as CSV: the names first, labels as no formula, without others and totals."""
    text = io.StringIO()
    table = csv.DictWriter(text, [*document["by"], *FIGURES], lineterminator="\n")
    table.writeheader()
    table.writerows({**row, **{name: safe_cell(row[name]) for name in document["by"]}} for row in document["usage"])
    return text.getvalue()


def safe_cell(text: str) -> str:
    """A label as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in FORMULA else text
