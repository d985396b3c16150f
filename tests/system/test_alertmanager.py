"""An alert goes from the service through Prometheus and Alertmanager to a webhook; a killed service is no all-clear."""

import subprocess
from datetime import UTC, datetime

import pytest

from tests.system.alertmanager_process import AlertmanagerProcess, PlainText, Watching, Webhook
from tests.system.prometheus_process import needed
from tests.system.service_process import Place, ServiceProcess, free_port, until

CONFIG = """
limits:
  - {id: high, match: {provider: anthropic}, unit: tokens, amount: 10k, window: day, holdback: 0}
  - {id: full, match: {provider: anthropic}, unit: tokens, amount: 5k, window: month, holdback: 0}
  - {id: runs, match: {provider: anthropic}, unit: leases, amount: 1}
"""
FIRING = 'ALERTS{{alertname="{name}",alertstate="firing",job="quota-scheduler"}}'


@pytest.fixture(autouse=True)
def programs() -> None:
    needed("prometheus", "prometheus")
    needed("promtool", "prometheus")
    needed("prometheus-alertmanager", "prometheus-alertmanager")
    needed("amtool", "prometheus-alertmanager")


def checked(*command: str, stdin: str = "") -> str:
    """What a checker has to say; nothing when it is content."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 and not done.stderr else done.stdout + done.stderr


def rules_are_sound(prometheus: Watching) -> bool:
    """Whether every rule has been evaluated, and without an error."""
    found = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert [rule for rule in found if rule["health"] == "err"] == []
    return {rule["health"] for rule in found} == {"ok"}


def test_an_alert_travels_to_a_webhook_and_resolves_and_a_killed_service_is_no_all_clear(place: Place) -> None:
    place.config(CONFIG)
    port = free_port()
    with (
        Webhook() as webhook,
        PlainText(port) as plain,
        AlertmanagerProcess(place.home / "alertmanager", webhook.port) as alertmanager,
        ServiceProcess(place, port=port) as service,
        Watching(
            place.home / "prometheus", service=port, plain=plain.port, alertmanager=alertmanager.port
        ) as prometheus,
    ):
        service.caught_up()
        event = {"provider": "anthropic", "key": "r1", "at": datetime.now(UTC).isoformat(), "output": 8_500}
        assert service.ask("POST", "/v1/usage", event).status == 200
        ticket = {"key": "t1", "labels": {"provider": "anthropic"}, "estimate": {"tokens": 1}, "class": "interactive"}
        assert service.ask("POST", "/v1/tickets", ticket).status == 200

        # what is scraped is sound, in both formats, and so is everything we ship
        until(lambda: prometheus.values("sum(up)") == [2], what="both scrapes")
        series = 'count({{__name__=~"quota_.+",job="{job}"}})'
        until(
            lambda: (
                prometheus.values(series.format(job="plain-text"))
                == prometheus.values(series.format(job="quota-scheduler"))
                != []
            ),
            what="the same series in both formats",
        )
        exposition = service.ask("GET", "/metrics").body
        assert checked("promtool", "check", "metrics", stdin=exposition) == ""
        assert checked("promtool", "check", "config", str(prometheus.folder / "prometheus.yml")) == ""
        assert checked("amtool", "check-config", str(place.home / "alertmanager" / "alertmanager.yml")) == ""
        until(lambda: rules_are_sound(prometheus), what="every rule")

        # a warning goes to the team, a critical alert to whoever is on call, with the way to a runbook and a dashboard
        until(lambda: webhook.told("firing", alertname="QuotaUsageHigh", limit="high"), what="the warning")
        until(lambda: webhook.told("firing", alertname="QuotaExhausted", limit="full"), what="the critical alert")
        until(lambda: webhook.told("firing", alertname="QuotaWatchdog"), what="the watchdog")
        (to, alert), *_ = until(
            lambda: webhook.told("firing", alertname="QuotaUsageHigh", job="quota-scheduler"), what="that of one job"
        )
        assert (to, alert["annotations"]["summary"]) == ("team", "high: usage is high")
        assert alert["annotations"]["dashboard_url"].endswith("/d/quota-limit?var-limit=high")
        assert alert["annotations"]["runbook_url"].endswith("#usage_high")
        assert {to for to, _ in webhook.told("firing", alertname="QuotaExhausted")} == {"on-call"}
        assert {to for to, _ in webhook.told("firing", alertname="QuotaWatchdog")} == {"dead-mans-switch"}
        assert prometheus.values(FIRING.format(name="QuotaUsageHigh")) == [1]
        assert not prometheus.values('ALERTS{limit="runs"}'), "all leases in use is a good day"

        # it is over, and that arrives too
        assert service.ask("PATCH", "/v1/limits/high", {"amount": "100k"}).status == 200
        until(lambda: webhook.told("resolved", alertname="QuotaUsageHigh", limit="high"), what="the resolution")

        # killed: the figures go, the alert stays, and somebody is told why
        service.kill()
        until(lambda: webhook.told("firing", alertname="QuotaSchedulerDown"), what="word that it is down")
        until(lambda: prometheus.values("quota_usage_ratio") == [], what="stale series")
        until(lambda: prometheus.values("quota_scheduler_database_up") == [], what="stale series")
        assert prometheus.values(FIRING.format(name="QuotaExhausted")) == [1]
        assert webhook.told("resolved", alertname="QuotaExhausted") == []
