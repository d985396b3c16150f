"""Whose usage and cost reports are read."""

from __future__ import annotations

from datetime import timedelta

from quota_scheduler.config.fields import Fields
from quota_scheduler.config.scalars import http_address, one_of, span, text
from quota_scheduler.config.tree import Bill, BillApi, BillProvider

SHORTEST = timedelta(minutes=5)
"""Reports are complete within five minutes; asking more often brings nothing."""
LONGEST = timedelta(days=1)


def read_bills(top: Fields) -> tuple[Bill, ...]:
    """Every organisation of the list; a provider's account once."""
    read: dict[tuple[str, str], Bill] = {}
    for fields_ in top.each("bills"):
        with fields_ as one:
            bill = Bill(
                provider=one.require("provider", one_of(BillProvider), BillProvider.ANTHROPIC, "anthropic or openai"),
                account=one.read("account", text, "default"),
                key=one.require("key", _key, "", "write `key: ${ANTHROPIC_ADMIN_KEY}` and set it", secret=True),
                api=one.read("api", one_of(BillApi), BillApi.ANALYTICS),
                url=one.read("url", _address, ""),
                every=one.read("every", _every, timedelta(hours=1)),
            )
            if bill.api is not BillApi.ANALYTICS and bill.provider is not BillProvider.ANTHROPIC:
                one.complain("api", f"is about reports of Anthropic, not of {bill.provider}: remove it")
            if (bill.provider, bill.account) in read:
                one.complain("account", f"{bill.account!r} of {bill.provider} is an earlier entry's: name another")
            read[bill.provider, bill.account] = bill
    return tuple(read.values())


def _key(value: str) -> str:
    """A key, which is never repeated in a problem."""
    if not value.isascii() or not value.isprintable() or " " in value or not value:
        raise ValueError("*** is not a key: write the administration key as the provider shows it")
    return value


def _address(value: str) -> str:
    http_address(value, f"{value!r} is no address: write https://host")
    return value


def _every(value: str) -> timedelta:
    every = span(value)
    if not SHORTEST <= every <= LONGEST:
        raise ValueError(f"{value!r} is not from 5m to 24h: reports change no faster, and a day is what costs take")
    return every
