"""Alerts as a process: a first import tells nobody, a crossing is told once, also over restarts, and its end once."""

import re
from datetime import UTC, datetime, timedelta

from tests.system.service_process import HttpReceiver, Place, ServiceProcess, until
from tests.system.transcripts import Agent

DAY = timedelta(days=1)
AT_ONCE = "{for: 0s, keep_firing_for: 0s}"
BEGUN = datetime.now(UTC) - timedelta(hours=12)
"""When the day of the limits began: taken once, since another minute would be another limit and end its windows."""
WEEKLY = f"""  - {{id: weekly, match: {{provider: anthropic}}, unit: usd, amount: 100, mode: warn,
     window: {{every: week, starts: "{BEGUN - 3 * DAY:%A %H:%M}"}}}}
""".lower()
"""A week in dollars, in its fourth day: what a cache that breaks costs in time."""


def config(receivers: list[tuple[str, str]], *, amount: str = "100k") -> str:
    """Two daily limits whose day began twelve hours ago; alerts without patience."""
    window = f'{{every: day, starts: "{BEGUN:%H:%M}"}}'
    told = "".join(f"  - {{id: {name}, url: '{url}'}}\n" for name, url in receivers)
    return f"""
limits:
  - {{id: daily, match: {{provider: anthropic}}, unit: tokens, amount: {amount}, window: {window}}}
  - {{id: tiny, match: {{provider: anthropic}}, unit: tokens, amount: 2k, window: {window}, mode: warn}}
receivers:
{told}
high_usage_run: 1M
alerts:
  rules:
    usage_high: {AT_ONCE}
    usage_nearly_exhausted: {AT_ONCE}
    exhausted: {AT_ONCE}
    cache_drop: {AT_ONCE}
    burn_fast: {{enabled: false}}
    burn_slow: {{enabled: false}}
    forecast_over_limit: {{enabled: false}}
"""


def firing(service: ServiceProcess) -> set[tuple[str, str]]:
    return {(a["rule"], a["scope"]) for a in service.get("/v1/alerts")["alerts"] if a["phase"] == "firing"}


FOUND = {(rule, "tiny") for rule in ("exhausted", "usage_nearly_exhausted", "usage_high")}
"""What a first import finds: the whole ladder of a limit that was exhausted before."""


def ticked(service: ServiceProcess) -> None:
    """Two more ticks are through: what was owed by then is written down and taken up for delivery."""
    seen: set[str] = set()
    until(lambda: seen.add(service.get("/v1/limits")["at"]) or len(seen) > 2, what="two ticks")


def settled(service: ServiceProcess) -> None:
    """Nothing is owed to anybody any more."""
    ticked(service)
    until(lambda: not service.sample("quota_notification_outbox_oldest_timestamp_seconds"), what="an empty outbox")


def test_a_limit_from_first_import_to_crossing_restart_and_resolution(place: Place) -> None:
    agent = Agent(place.home).spend(input=3_000, output=1_000)
    with HttpReceiver() as ops:
        place.config(config([("ops", ops.url)]))
        with ServiceProcess(place) as service:
            service.caught_up()
            until(lambda: firing(service) == FOUND, what="what the import found")
            ticked(service)
            assert ops.got == []
            agent.spend(cache_read=80_000, output=100)
            until(lambda: ops.got, what="the notification")
            ticked(service)
            assert ops.titles == ["daily: 84 % used"]
            assert "84" in ops.got[0]["message"]
            assert service.terminate() == 0
        with ServiceProcess(place) as service:
            service.caught_up()
            ticked(service)
            assert firing(service) == FOUND | {("usage_high", "daily")}
            assert len(ops.got) == 1
            service.kill()
        place.config(config([("ops", ops.url)], amount="1M"))
        with ServiceProcess(place) as service:
            service.caught_up()
            until(lambda: len(ops.got) > 1, what="the resolution")
            ticked(service)
            assert len(ops.got) == 2
            assert "daily" in ops.titles[1]
            assert ops.got[1]["type"] == "success"
            assert firing(service) == FOUND


def test_a_cache_that_breaks_and_a_run_that_grows_large_are_told_once_each(place: Place) -> None:
    for age in range(2, 14):
        Agent(place.home, f"day-{age}").spend(ago=age * DAY, cache_read=1_900_000, cache_write_5m=100_000, output=500)
    with HttpReceiver() as ops:
        text = config([("ops", ops.url)], amount="100M").replace("amount: 2k", "amount: 100M")
        place.config(text.replace("receivers:", f"{WEEKLY}receivers:"))
        with ServiceProcess(place) as service:
            service.caught_up()
            ticked(service)
            assert (firing(service), ops.got) == (set(), [])
            assert service.terminate() == 0
        Agent(place.home, "today").spend(input=900_000, cache_read=400_000, output=700)
        with ServiceProcess(place) as service:
            service.caught_up()
            until(lambda: ops.got, what="the notification")
            settled(service)
            assert firing(service) == {("cache_drop", "nightly"), ("high_usage_run", "today")}
            told = "\n".join(each["title"] + each["message"] for each in ops.got)
            assert told.count("cache hit rate fell to 30.8 % from 95.0 %") == 1
            assert told.count("Run today of nightly used 1.3M tokens") >= 1
            assert re.search(
                r"\nIt cost \$\d\.\d\d of weekly \(\d\.\d %\): \d+ (min|h|days) of the week at its pace\.\n", told
            )
            before = len(ops.got)
            assert service.terminate() == 0
        with ServiceProcess(place) as service:
            service.caught_up()
            settled(service)
            assert len(ops.got) == before


def test_a_receiver_that_is_dead_and_one_that_hangs_delay_nobody(place: Place) -> None:
    agent = Agent(place.home).spend(input=10, output=10)
    with HttpReceiver() as good, HttpReceiver(delay_seconds=60) as slow, HttpReceiver(answer=500) as failing:
        urls = [("dead", "json://127.0.0.1:1"), ("slow", slow.url), ("failing", failing.url), ("good", good.url)]
        place.config(config(urls).replace("amount: 2k", "amount: 100M"))
        with ServiceProcess(place) as service:
            service.caught_up()
            ticked(service)
            agent.spend(cache_read=84_000, output=100)
            until(lambda: "daily: 84 % used" in good.titles, seconds=10, what="the notification")
            until(lambda: failing.got, seconds=10, what="an attempt")
            until(lambda: any(service.sample("quota_notifications_total", target="good").values()), what="its record")
            # kill -9 while one hangs and two are owed: nothing is lost, and who has it is not told again
            service.kill()
        with ServiceProcess(place) as service:
            service.caught_up()
            ticked(service)
            assert service.sample("quota_notification_outbox_oldest_timestamp_seconds")
            assert good.titles.count("daily: 84 % used") == 1
