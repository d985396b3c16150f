"""Every exception this package raises.

    QuotaSchedulerError         code, message: what happened and the way out
    ├── ConfigError             config        the file or environment is wrong; ``problems`` lists each with its path
    ├── StoreError              store         the database is not usable
    │   ├── NotOurDatabase      not_ours      the file is something else, or from a newer version
    │   ├── DatabaseBusy        busy          another process holds it
    │   └── DatabaseAway        store         its server cannot be reached; it may be back in a moment
    ├── StartError              start         the service cannot listen as asked
    └── NotLeading                            another replica leads, and does this job: nobody is told

An expected outcome (a deferred ticket, a stale fence, a duplicate event) is a value with a reason, never one of these.
"""


class QuotaSchedulerError(Exception):
    """Base of all; the text is one sentence for a person and ``code`` is stable for programs."""

    code = "error"


class ConfigError(QuotaSchedulerError):
    """The configuration is wrong; nothing was started or changed."""

    code = "config"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StoreError(QuotaSchedulerError):
    """The database cannot be used; nothing half-written is left behind."""

    code = "store"


class NotOurDatabase(StoreError):
    """The file is not a database of this program, or one of a newer version."""

    code = "not_ours"


class DatabaseBusy(StoreError):
    """Another process holds the database; talk to it instead, or stop it."""

    code = "busy"


class DatabaseAway(StoreError):
    """The server of the database cannot be reached: whatever else is asked of it now would wait in vain."""


class StartError(QuotaSchedulerError):
    """The service cannot start as configured."""

    code = "start"


class NotLeading(QuotaSchedulerError):
    """Another replica leads by now: nothing was written, and it does this work. Jobs take it for a run left out."""


def first_line(error: BaseException) -> str:
    """What an error says without the lines of detail below it, as drivers of databases add them; never empty."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
