"""Own sum, provider's word and bill side by side: what drifts, and the likeliest cause."""

import pytest
from msgspec.structs import replace

from quota_scheduler.core.observations.observation import ProviderWindow
from quota_scheduler.core.observations.points import Rate
from quota_scheduler.core.observations.reconciling import (
    SENTENCES,
    Circumstances,
    reconcile_bill,
    reconcile_word,
)
from quota_scheduler.core.observations.reconciling import (
    DriftCause as Cause,
)
from quota_scheduler.core.observations.report_key import ReportKey
from quota_scheduler.core.observations.reported_window import Noticed, ReportedWindow, WindowChange
from quota_scheduler.core.units import MICRO, PICO
from quota_scheduler.core.usage import Usage
from tests.builders import DAY, HOUR, MINUTE, MONDAY

KEY = ReportKey("anthropic", "max", ProviderWindow.FIVE_HOUR)
RATE = Rate(low=1_600_000, middle=2_000_000, high=2_400_000, spans=12, learned_at=MONDAY)
"""Two points a dollar."""
UNPRICED = Usage(output=1_000, requests=1).costing(5 * MICRO * PICO, unpriced_tokens=7)
SILENT = Circumstances(("build-7",))


def spent(usd, tokens=1_000):
    return Usage(output=tokens, requests=1).costing(int(usd * MICRO * PICO))


def a_window(ratio=0.40, *, ends=2 * HOUR, ago=MINUTE, **changes):
    heard = MONDAY - ago
    window = ReportedWindow(MONDAY - 3 * HOUR, MONDAY + ends, MONDAY + ends, heard, heard, heard, "status_line", ratio)
    return replace(window, **changes)


LOWERED = (Noticed(WindowChange.LOWERED, MONDAY, 0.6, 0.4),)


@pytest.mark.parametrize(
    ("window", "own", "rate", "around", "cause", "drift"),
    [
        pytest.param(a_window(), spent(20), RATE, Circumstances(), Cause.AGREES, 0.0, id="what was said was used here"),
        pytest.param(a_window(0.49), spent(20), RATE, Circumstances(), Cause.AGREES, 9.0,
                     id="within the interval and a point of rounding"),
        pytest.param(a_window(0.50), spent(20), RATE, Circumstances(), Cause.ELSEWHERE, 10.0, id="more than that"),
        pytest.param(a_window(0.50), spent(20), RATE, SILENT, Cause.HOST_SILENT, 10.0, id="a silent host"),
        pytest.param(a_window(0.30), spent(20), RATE, Circumstances(), Cause.TOO_MUCH_HERE, -10.0, id="less than that"),
        pytest.param(a_window(0.30, notices=LOWERED), spent(20), RATE, Circumstances(), Cause.GIVEN_BACK, -10.0,
                     id="less, and less than before"),
        pytest.param(a_window(), Usage(), RATE, Circumstances(), Cause.NOTHING_HERE, 40.0, id="nothing was counted"),
        pytest.param(a_window(), Usage(), None, SILENT, Cause.HOST_SILENT, None, id="nothing, and a silent host"),
        pytest.param(a_window(0.0), Usage(), RATE, Circumstances(), Cause.AGREES, 0.0, id="nothing was used"),
        pytest.param(a_window(), spent(20), None, Circumstances(), Cause.NOT_LEARNED, None, id="no rate is learned"),
        pytest.param(a_window(None), spent(20), RATE, Circumstances(), Cause.NO_SHARE, None, id="only a refusal"),
        pytest.param(a_window(ends=-MINUTE, ago=HOUR), spent(20), RATE, Circumstances(), Cause.PASSED, 0.0,
                     id="a window that is over"),
    ],
)  # fmt: skip
def test_a_providers_word_beside_the_own_sum(window, own, rate, around, cause, drift):
    found = reconcile_word(KEY, window, own, rate, around, now=MONDAY)
    assert (found.cause, found.drift_percent) == (cause, drift if drift is None else pytest.approx(drift))


def tokens(fresh=900, out=100):
    return Usage(input=fresh, output=out, requests=1)


def usd(amount):
    return int(amount * MICRO * PICO)


@pytest.mark.parametrize(
    ("own", "billed", "charged", "around", "cause"),
    [
        pytest.param(tokens(), tokens(), None, Circumstances(), Cause.AGREES, id="tokens agree, no cost was read"),
        pytest.param(spent(5), spent(5), usd(5.1), Circumstances(), Cause.AGREES, id="a cost within two percent"),
        pytest.param(spent(5), spent(5), usd(4), Circumstances(), Cause.PRICES, id="a discount"),
        pytest.param(UNPRICED, spent(5), usd(4), Circumstances(), Cause.UNPRICED, id="no price"),
        pytest.param(tokens(), tokens(1_800), None, Circumstances(), Cause.ELSEWHERE, id="much is missing"),
        pytest.param(tokens(), tokens(960), None, Circumstances(), Cause.HIDDEN_CALLS, id="a little is missing"),
        pytest.param(tokens(), tokens(out=150), None, Circumstances(partial=2), Cause.PARTIAL_ANSWERS, id="output"),
        pytest.param(tokens(), tokens(1_800), None, SILENT, Cause.HOST_SILENT, id="a silent host"),
        pytest.param(Usage(), tokens(), None, Circumstances(), Cause.NOTHING_HERE, id="nothing was counted here"),
        pytest.param(tokens(1_800), tokens(), None, Circumstances(), Cause.TOO_MUCH_HERE, id="more than is billed"),
        pytest.param(Usage(), Usage(), None, Circumstances(), Cause.AGREES, id="nothing at all"),
    ],
)  # fmt: skip
def test_a_bill_beside_the_own_sum(own, billed, charged, around, cause):
    assert reconcile_bill("anthropic", "org", (MONDAY - DAY, MONDAY), own, billed, charged, around).cause is cause


def test_a_reconciliation_as_json_types():
    found = reconcile_word(KEY, a_window(0.5, ago=HOUR), spent(20), RATE, SILENT, now=MONDAY)
    assert found.document() == {
        "provider": "anthropic", "account": "max", "window": "five_hour",
        "starts_at": "2026-11-23T06:00:00Z", "ends_at": "2026-11-23T11:00:00Z", "as_of": "2026-11-23T08:00:00Z",
        "own": {"tokens": 1_000, "cost_usd": 20.0, "percent": 40.0, "percent_low": 32.0, "percent_high": 48.0},
        "said": {"percent": 50.0, "source": "status_line", "stale": True}, "bill": None,
        "drift_percent": 10.0, "drift_tokens": None, "cause": "host_silent",
        "detail": "A host that ships has been silent: build-7.",
    }  # fmt: skip


def test_a_bill_as_json_types():
    found = reconcile_bill(
        "openai", "org", (MONDAY - DAY, MONDAY), spent(5, 900), spent(0, 1_000), usd(6), Circumstances()
    )
    document = found.document()
    assert (document["bill"], document["drift_tokens"], document["said"]) == (
        {"tokens": 1_000, "cost_usd": 6.0},
        100,
        None,
    )


def test_every_cause_has_its_sentence():
    assert set(SENTENCES) == set(Cause)
