"""Several notifications for one target as one message: what came together, or piled up meanwhile."""

from collections import Counter
from collections.abc import Sequence

from quota_scheduler.core.alerts.message import Message
from quota_scheduler.core.alerts.state import NoticeKind
from quota_scheduler.core.alerts.wording import LONGEST, LONGEST_SUBJECT, cut, key_line
from quota_scheduler.store.outbox import OwedMessage


def compose(group: Sequence[OwedMessage]) -> Message:
    """One message of notifications for the same target: one alone as it is, several worst first, under 900 characters.

    Several are given whole where that fits, else by subject and key; what does not fit is counted by rule.
    """
    worst = sorted(group, key=lambda row: (-row.severity.rank, row.id))
    first = worst[0]
    resolved = first.kind is NoticeKind.RESOLVED
    if len(group) == 1:
        return Message(first.target, first.severity, first.subject, first.body, resolved)
    subject = cut(f"{_count(worst, resolved)}: {first.subject}", LONGEST_SUBJECT)
    whole = "\n\n".join(row.body for row in worst)
    return Message(first.target, first.severity, subject, whole if len(whole) <= LONGEST else _brief(worst), resolved)


def _count(rows: Sequence[OwedMessage], resolved: bool) -> str:
    if resolved:
        return f"{len(rows)} alerts resolved"
    by_severity = Counter(row.severity.value for row in rows)
    return f"{len(rows)} alerts ({', '.join(f'{count} {severity}' for severity, count in by_severity.items())})"


def _brief(rows: Sequence[OwedMessage]) -> str:
    """Subject and key of each, as many as fit, and how many more there are of which rule."""
    lines: list[str] = []
    for index, row in enumerate(rows):
        line = f"{row.subject}\n{key_line(row.rule, row.scope, row.episode)}"
        more = _more(rows[index + 1 :])
        if len("\n".join([*lines, line, more])) > LONGEST:
            return "\n".join([*lines, _more(rows[index:])])
        lines.append(line)
    return "\n".join(lines)


def _more(rows: Sequence[OwedMessage]) -> str:
    if not rows:
        return ""
    by_rule = Counter(row.rule for row in rows)
    named = ", ".join(f"{count} {rule}" for rule, count in sorted(by_rule.items()))
    return f"And {len(rows)} more ({named}); see the list of alerts."
