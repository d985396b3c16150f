"""Matchers: what silences and receivers fit."""

import pytest

from quota_scheduler.core.alerts.routing import MATCHABLE, fits, named
from quota_scheduler.core.alerts.rule import Severity

NAMES = named(
    "usage_high", Severity.WARNING, "team-daily/growth", {"team": "growth", "limit": "team-daily/growth", "x": 1}
)


def test_only_closed_names_can_be_matched():
    assert {"rule": "usage_high", "severity": "warning", "scope": "team-daily/growth"}.items() <= NAMES.items()
    assert set(NAMES) <= set(MATCHABLE)


@pytest.mark.parametrize(
    ("matchers", "fit"),
    [
        pytest.param((), True, id="nothing to match fits everything"),
        pytest.param((("team", "growth"),), True, id="a value"),
        pytest.param((("team", "grow"),), False, id="a part of it is another value"),
        pytest.param((("team", "gr*"), ("rule", "usage_*")), True, id="patterns, all of which fit"),
        pytest.param((("team", "gr*"), ("rule", "burn_*")), False, id="patterns, one of which does not"),
        pytest.param((("team", "sales|growth"),), True, id="one of several"),
        pytest.param((("model", "*"),), True, id="a star fits what is not known"),
        pytest.param((("model", "claude-*"),), False, id="a pattern does not"),
    ],
)
def test_matchers(matchers, fit):
    assert fits(matchers, NAMES) is fit
