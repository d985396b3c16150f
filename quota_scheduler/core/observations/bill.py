"""What a provider says it has counted and charged: one line of its usage or cost report."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from quota_scheduler.core.usage import Usage, total


class Report(StrEnum):
    """Which report a line is of. They are never added: one counts tokens, the other charges for them."""

    USAGE = "usage"
    COST = "cost"


class BillLine(Struct, frozen=True):
    """What was counted between ``starts_at`` and ``ends_at`` for one model and group; either may be empty.

    ``group`` tells lines of one model apart: a workspace, a project, a kind of cost. In a line of the usage report
    ``usage`` has tokens and requests, in one of the cost report only a cost. A later reading of the same bucket takes
    its place: reports settle for some minutes, costs for a day or two.
    """

    provider: str
    account: str
    report: Report
    starts_at: datetime
    ends_at: datetime
    model: str
    group: str
    usage: Usage

    def __post_init__(self) -> None:
        if self.ends_at <= self.starts_at:
            raise ValueError(f"a line of the {self.report} report ends before it begins: {self.starts_at}")


class Ceiling(Struct, frozen=True):
    """How much a provider allows an organisation in a moment: ``requests_per_minute`` of a group of models.

    ``group`` names the models, or what else the limiter is about. What is left of it no report says.
    """

    provider: str
    account: str
    group: str
    limiter: str
    value: int


class BillCursor(Struct, frozen=True):
    """How far a report has been read: up to ``read_to`` nothing changes any more.

    With a ``page``, the provider's mark of it, the buckets from ``asked_from`` to ``asked_to`` have been read up to
    there.
    """

    read_to: datetime
    asked_from: datetime
    asked_to: datetime
    page: str = ""


def added_up(lines: Iterable[BillLine]) -> list[BillLine]:
    """The lines, with those added up that say the same of themselves: reports split by more than is kept."""
    sums: dict[tuple[object, ...], list[BillLine]] = {}
    for line in lines:
        sums.setdefault((line.provider, line.account, line.report, line.starts_at, line.model, line.group), []).append(
            line
        )
    return [
        BillLine(
            one.provider, one.account, one.report, one.starts_at, one.ends_at, one.model, one.group,
            total(line.usage for line in same),
        )
        for same in sums.values()
        for one in same[:1]
    ]  # fmt: skip
