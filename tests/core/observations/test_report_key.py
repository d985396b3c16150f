"""Which window of which account a report is about."""

import pytest

from quota_scheduler.core.observations.observation import ProviderWindow
from quota_scheduler.core.observations.report_key import ReportKey
from tests.builders import an_observation


@pytest.mark.parametrize(
    ("report", "key", "text"),
    [
        pytest.param(
            an_observation(),
            ReportKey("anthropic", "max-1", ProviderWindow.FIVE_HOUR),
            "anthropic/five_hour of max-1",
            id="its provider, account and window",
        ),
        pytest.param(
            an_observation(account="", window=ProviderWindow.WEEKLY_MODEL, scope="opus"),
            ReportKey("anthropic", "default", ProviderWindow.WEEKLY_MODEL, "opus"),
            "anthropic/weekly_model/opus of default",
            id="a scope tells windows of one kind apart, and no account is the default one",
        ),
    ],
)
def test_a_report_is_about_one_window_of_one_account(report, key, text):
    assert (ReportKey.of(report), str(ReportKey.of(report))) == (key, text)


def test_a_window_is_written_as_a_configuration_names_it():
    key = ReportKey("anthropic", "max-1", ProviderWindow.WEEKLY_MODEL, "opus")
    assert key.written == "anthropic/weekly_model/opus"
