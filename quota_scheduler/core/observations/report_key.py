"""Which window of which account a report is about, and which windows an operator may name."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from quota_scheduler.core.names import canonical_provider
from quota_scheduler.core.observations.observation import Observation, ProviderWindow

DEFAULT_ACCOUNT = "default"
"""The account of what names none, as sources call it."""
PROVIDERS: Mapping[str, str] = {
    "claude": "anthropic",
    "anthropic": "anthropic",
    "codex": "openai",
    "chatgpt": "openai",
    "openai": "openai",
}
"""Whose windows are meant, by the names people have for them."""
LENGTHS: Mapping[ProviderWindow, timedelta | None] = {
    ProviderWindow.FIVE_HOUR: timedelta(hours=5),
    ProviderWindow.WEEKLY: timedelta(days=7),
    ProviderWindow.WEEKLY_MODEL: timedelta(days=7),
    ProviderWindow.MONTHLY_SPEND: None,  # a month of the calendar
}
"""How long each window lasts, as the providers document them."""


class ReportKey(NamedTuple):
    """One window of one account: what its reports have in common."""

    provider: str
    account: str
    window: ProviderWindow
    scope: str = ""

    @classmethod
    def of(cls, observation: Observation) -> "ReportKey":
        """What a report is about; one that names no account is about the default one."""
        provider, account = canonical_provider(observation.provider), observation.account or DEFAULT_ACCOUNT
        return cls(PROVIDERS.get(provider, provider), account, observation.window, observation.scope.lower())

    @property
    def written(self) -> str:
        """The provider's window as a configuration names it; whose account it is says the limit's match."""
        scope = f"/{self.scope}" if self.scope else ""
        return f"{self.provider}/{self.window.value}{scope}"

    def __str__(self) -> str:
        return f"{self.written} of {self.account}"
