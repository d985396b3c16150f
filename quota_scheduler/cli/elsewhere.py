"""Which service is asked: one rule for every verb that asks one.

    --url, else --listen, else QUOTA_URL, else where the configuration says that the service listens

Kept free of imports that take time: ``run`` begins with it.
"""

import os
from urllib.parse import urlsplit

import click

HERE = frozenset(
    {"serve", "demo", "config", "doctor", "backup", "restore", "migrate-data", "backtest", "simulate", "ship"}
    | {"statusline", "hook"}
)
"""Verbs that work on this machine's files, or find the service by a rule of their own: no ``--url`` names another."""


def named_url(ctx: click.Context) -> str:
    """The address that somebody named; empty where the configuration says it. Raises UsageError for none at all."""
    given = ctx.find_root().ensure_object(dict)
    url = given.get("url", "") or ("" if "listen" in given else os.environ.get("QUOTA_URL", ""))
    return checked(url.strip(), "--url" if given.get("url") else "QUOTA_URL")


def checked(url: str, name: str) -> str:
    """An address that can be asked, as it was named. Raises UsageError with the way out."""
    if not url:
        return ""
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        is_address = False
    if not is_address:
        raise click.UsageError(f"{name} {url!r} is no address: write http://host:port or https://host")
    return url
