"""What the client raises. A ticket that waits is no error; one that may never start, or not in time, is.

QuotaError                   the text says what happened and the way out
├── Unavailable              nothing answers, or only that it is busy, for as long as the client was patient
├── Refused                  the service refuses the request: ``status``, ``code``
├── NotAdmitted              the work may not start: ``reason``, ``decision``
│   ├── StillWaiting         it waits, and nobody wanted to wait longer
│   └── BudgetExhausted      a tracked call fits no budget any more, with no model at all: ``team``, ``until``
└── LeaseLost                the lease passed to somebody else or was revoked: stop; the usage was recorded
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quota_scheduler.client.answers import Decision


class QuotaError(Exception):
    """Base of all."""


class Unavailable(QuotaError):
    """The service could not be asked. It says nothing about the work: never count it as a failed run."""


class Refused(QuotaError):
    """The service refuses a request as it stands; asking again changes nothing."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail or f"the service answered {status}")
        self.status, self.code = status, code


class NotAdmitted(QuotaError):
    """The work may not start; ``reason`` is the service's reason code."""

    def __init__(self, decision: "Decision") -> None:
        super().__init__(decision.message)
        self.decision, self.reason = decision, decision.reason


class StillWaiting(NotAdmitted):
    """The work waits for room, and the caller did not want to wait, or no longer."""


class BudgetExhausted(NotAdmitted):
    """A tracked call fits no budget any more, with this model nor with a cheaper one; the call was not made.

    ``team`` is whose budget, ``limit`` the limit that says so, ``until`` its reset (None where nobody can say).
    """

    def __init__(self, decision: "Decision", team: str) -> None:
        super().__init__(decision)
        self.team, self.until = team, decision.until
        binding = decision.answer.get("binding") or [{}]
        self.limit = str(binding[0].get("limit", ""))


class BudgetWarning(UserWarning):
    """A team has used so much of a budget that it should know: the threshold of ``track``."""


class LeaseLost(QuotaError):
    """The lease has ended or passed to another runner."""
