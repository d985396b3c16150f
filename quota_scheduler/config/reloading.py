"""What of a configuration takes effect when it is read again while the service runs."""

from msgspec.structs import replace

from quota_scheduler.config.tree import Config

RESTART_ONLY = (
    "listen",
    "database",
    "database_patience",
    "spool",
    "sources",
    "bills",
    "otlp",
    "litellm",
    "receivers",
    "metrics_auth",
    "tick_seconds",
    "leader_ttl",
    "log_format",
    "trusted_proxies",
    "tls",
    "traces",
)
"""What only a restart changes; everything else of a reloaded configuration takes effect at once."""


def reloaded(before: Config, after: Config) -> tuple[Config, list[str]]:
    """The configuration that rules from now on, and the changed keys that wait for a restart."""
    waiting = [name for name in RESTART_ONLY if getattr(after, name) != getattr(before, name)]
    return replace(after, **{name: getattr(before, name) for name in RESTART_ONLY}), waiting
