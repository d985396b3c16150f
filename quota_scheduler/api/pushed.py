"""Taking what is pushed: the database has it, or this host's disk until the database is back."""

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from quota_scheduler.api.access import ANSWER_SECONDS, written
from quota_scheduler.api.problems import Problem
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.errors import StoreError

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

AGAIN_SECONDS = 5
"""When who finds the spool full may come again."""
T = TypeVar("T")


async def taken(
    service: "Facade", delivery: Pushed, write: Callable[[], Awaitable[Future[T]]], *, within: float = ANSWER_SECONDS
) -> T | None:
    """What became of a delivery that ``write`` records; None where it lies in the spool. Raises Problem.

    A write that takes too long may still come to its end: what is replayed then counts once all the same.
    """
    if not service.is_spooling:
        try:
            return await written(await write(), within=within)
        except Problem as problem:
            if isinstance(problem.__cause__, StoreError | TimeoutError) and await service.keep(delivery):
                return None
            raise
    if await service.keep(delivery):
        return None
    raise Problem(
        503,
        "not_written",
        "the database was away, and there is no room on this disk for more: send the same again in a moment",
        retry_after=AGAIN_SECONDS,
    )
