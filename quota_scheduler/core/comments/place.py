"""Where a comment stands, and the hidden mark that it is known again by."""

import hashlib
import re
from typing import NamedTuple, Self

from quota_scheduler.core.tickets.ticket import Ticket

PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}"
"""A repository as ``owner/name``: what GitHub lets accounts and repositories be called."""
LARGEST_ISSUE = 2**31 - 1
MARK_VERSION = "v1"
_ISSUE = re.compile(rf"({PATTERN})#([1-9][0-9]{{0,9}})")


class CommentPlace(NamedTuple):
    """One comment: of a workflow, at an issue or pull request. GitHub does not tell repositories apart by case."""

    repo: str
    issue: int
    workflow: str

    @classmethod
    def of(cls, ticket: Ticket) -> Self | None:
        """Where what becomes of a ticket is told; None for one that names no issue."""
        named = _ISSUE.fullmatch(ticket.comment_on)
        return cls(named[1].lower(), int(named[2]), ticket.labels.workflow) if named else None

    @property
    def mark(self) -> str:
        """The first line of the comment: shown to nobody, and free of what runners may write."""
        key = hashlib.sha256(self.workflow.encode()).hexdigest()[:16]
        return f"<!-- quota-scheduler:{MARK_VERSION} key={key} -->"

    def marks(self, body: str) -> bool:
        """Whether a comment carries this mark as its first line."""
        return body.lstrip("\ufeff").split("\n", 1)[0].strip() == self.mark


def issue_text(repo: str, issue: int) -> str:
    """An issue as tickets carry it: ``owner/name#12``."""
    return f"{repo}#{issue}"
