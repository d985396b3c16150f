"""Whose reports are read: the section ``bills``."""

from datetime import timedelta
from pathlib import Path

import pytest

from quota_scheduler.config import load
from quota_scheduler.config.tree import Bill, BillApi, BillProvider
from quota_scheduler.errors import ConfigError

HOME = {"HOME": "/home/ann", "KEY": "sk-ant-admin-EXAMPLE"}


def read(folder: Path, text: str) -> tuple[Bill, ...]:
    path = folder / "quota.yaml"
    path.write_text(f"bills: [{text}]\n")
    return load(path, HOME, {}).bills


def test_a_bill_needs_a_provider_and_a_key(tmp_path):
    assert read(tmp_path, "{provider: anthropic, key: '${KEY}'}") == (
        Bill(BillProvider.ANTHROPIC, "default", HOME["KEY"], BillApi.ANALYTICS, "", timedelta(hours=1)),
    )
    (bill,) = read(tmp_path, "{provider: anthropic, account: a, key: k, api: usage_report, url: 'http://x', every: 5m}")
    assert bill == Bill(BillProvider.ANTHROPIC, "a", "k", BillApi.USAGE_REPORT, "http://x", timedelta(minutes=5))
    assert "'k'" not in repr(bill)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("{provider: antropic, key: k}", "did you mean `anthropic`", id="a provider that is misspelt"),
        pytest.param(
            "{provider: openai}", "bills[0].key: is missing: write `key: ${ANTHROPIC_ADMIN_KEY}`", id="no key"
        ),
        pytest.param("{provider: openai, key: 'a b'}", "key: *** is not a key", id="a key with a blank"),
        pytest.param("{provider: openai, key: k, every: 1m}", "is not from 5m to 24h", id="too often"),
        pytest.param("{provider: openai, key: k, url: x.example}", "'x.example' is no address", id="no address"),
        pytest.param(
            "{provider: openai, key: k}, {provider: openai, key: j}",
            "bills[1].account: 'default' of openai is an earlier entry's: name another",
            id="one account twice",
        ),
    ],
)
def test_what_is_wrong_with_a_bill(tmp_path, text, problem):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert problem in str(caught.value)
    assert "a b" not in str(caught.value)
