"""The Python client: ask to run, wait for the turn, tell what was used. Needs the standard library only.

    from quota_scheduler.client import Client

    client = Client()  # QUOTA_URL, QUOTA_TOKEN
    with client.lease("nightly-42", provider="anthropic", priority="low", tokens="2.5M") as lease:
        ...
        lease.used("claude-sonnet-5", input=6, cache_read=20_000, output=412)

This is the public face of the package: what is named here stays.
"""

from typing import TYPE_CHECKING, Any

from quota_scheduler.client.answers import Budget, Decision, UsageRow
from quota_scheduler.client.connection import Client
from quota_scheduler.client.errors import (
    BudgetExhausted,
    BudgetWarning,
    LeaseLost,
    NotAdmitted,
    QuotaError,
    Refused,
    StillWaiting,
    Unavailable,
)
from quota_scheduler.client.lease import Lease
from quota_scheduler.client.track import crewai_listener, langchain_callback, track

if TYPE_CHECKING:
    from quota_scheduler.client.aio import AsyncClient

__all__ = [
    "AsyncClient",
    "Budget",
    "BudgetExhausted",
    "BudgetWarning",
    "Client",
    "Decision",
    "Lease",
    "LeaseLost",
    "NotAdmitted",
    "QuotaError",
    "Refused",
    "StillWaiting",
    "Unavailable",
    "UsageRow",
    "crewai_listener",
    "langchain_callback",
    "track",
]


def __getattr__(name: str) -> Any:
    """Import the client for asyncio when it is asked for: that library takes longer to load than all the rest."""
    if name == "AsyncClient":
        from quota_scheduler.client.aio import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
