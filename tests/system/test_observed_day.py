"""A day of a limit in percent on a real service: reports with jitter, an early reset, use elsewhere, a refusal."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.system.service_process import Place, ServiceProcess, until

CONFIG = """
limits:
  - id: max-session
    match: {account: max-1}
    unit: percent
    amount: 100
    window: {session: 5h}
    observed: claude/five_hour
    holdback: 0
"""
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


class Day:
    """What is said and done, at times around now."""

    def __init__(self, service: ServiceProcess) -> None:
        self.service, self.now = service, datetime.now(UTC)
        self.sent = 0

    def report(self, ratio: float | None, resets: datetime, *, ago: timedelta = timedelta(0), **more: Any) -> None:
        """The provider says how much is used."""
        at = (self.now if ago else datetime.now(UTC)) - ago
        said = {"provider": "anthropic", "account": "max-1", "window": "five_hour", "used_ratio": ratio, **more}
        said |= {"resets_at": resets.isoformat(), "observed_at": at.isoformat()}
        reply = self.service.ask("POST", "/v1/observations", {k: v for k, v in said.items() if v is not None})
        assert (reply.status, reply.body["accepted"]) == (200, 1), reply.body

    def use(self, dollars: float, *, ago: timedelta = timedelta(0)) -> None:
        """So much is used here."""
        self.sent += 1
        at = (self.now if ago else datetime.now(UTC)) - ago
        event = {"provider": "anthropic", "key": f"call-{self.sent}", "at": at.isoformat(), "model": "claude-sonnet-5"}
        event |= {"labels": {"account": "max-1"}, "output": 100, "cost_usd": dollars}
        assert self.service.ask("POST", "/v1/usage", event).body["accepted"] == 1

    def ask(self, key: str, dollars: float) -> dict[str, Any]:
        """Somebody asks to run what costs so much."""
        labels = {"provider": "anthropic", "account": "max-1", "model": "claude-sonnet-5"}
        ticket = {"key": key, "labels": labels, "estimate": {"cost_usd": dollars}}
        answer: dict[str, Any] = self.service.ask("POST", "/v1/tickets", ticket).body
        return answer

    def limit(self) -> dict[str, Any]:
        """The limit as everybody sees it."""
        (limit,) = self.service.get("/v1/limits")["limits"]
        return dict(limit)

    def sees(self, **expected: Any) -> dict[str, Any]:
        """Wait until the limit looks like that."""

        def look() -> dict[str, Any] | None:
            limit = self.limit()
            return limit if all(_of(limit, name) == value for name, value in expected.items()) else None

        return until(look, what=f"{expected} in {self.limit()}")  # type: ignore[no-any-return]


def _of(limit: dict[str, Any], name: str) -> Any:
    value = limit.get(name, (limit["observed"] or {}).get(name))
    return round(value, 1) if isinstance(value, float) else value


def test_a_limit_in_percent_admits_and_holds_at_the_right_points(place: Place) -> None:
    place.config(CONFIG)
    with ServiceProcess(place) as service:
        day = Day(service.caught_up())
        day.sees(freshness="unavailable", used=0.0)

        # the morning: it grows two points for each dollar, and resets jitter
        morning = day.now + 2 * HOUR
        for step in range(12):
            ago, jitter = HOUR - step * 4 * MINUTE, (step % 3 - 1) * timedelta(seconds=40)
            day.use(1.0, ago=ago + MINUTE)
            day.report(0.30 + step * 0.02, morning + jitter, ago=ago)
        learned = until(lambda: day.limit()["observed"]["points_per_usd"], what="a rate")
        assert 1.8 < learned["low"] < learned["expected"] < learned["high"] < 2.4
        day.sees(freshness="cached", used=52.0, reported_ratio=0.5)

        # between reports what is used here counts, and the next report wins
        day.use(4.0)
        assert day.sees(used=60.0)["estimated"] is True
        day.report(0.59, morning)
        assert day.sees(used=59.0, freshness="live")["estimated"] is False

        # 41 points are left: some 18 dollars at the upper end of what is known
        fits = day.ask("fits", 15)
        assert fits["verdict"] == "admit", fits
        waits = day.ask("waits", 8)
        assert (waits["verdict"], waits["reason"]) == ("defer", "no_headroom")
        assert abs(datetime.fromisoformat(waits["until"]) - morning) <= MINUTE
        lease = fits["lease"]
        assert 28 < lease["reserved"]["max-session"] < 36
        report = {"fence": lease["fence"], "usage": {"output": 10}}
        assert service.ask("POST", f"/v1/leases/{lease['id']}/release", report).status == 200

        # room came back, so who waited is offered its place
        assert service.get(f"/v1/tickets/{waits['id']}?wait=30")["state"] == "running"

        # lower is an echo of an idle client
        day.report(0.3, morning)
        day.sees(used=59.0)

        # the provider refuses, and resets early a moment later
        day.report(None, morning, status="rejected")
        day.sees(exhausted=True, level="exhausted")
        refused = day.ask("refused", 0.1)
        assert (refused["verdict"], refused["reason"]) == ("defer", "exhausted")
        evening = datetime.now(UTC) + 5 * HOUR
        day.report(0.01, evening)
        assert service.get(f"/v1/tickets/{refused['id']}?wait=30")["state"] == "running"
        day.report(0.01, evening + SECOND)
        (noticed,) = day.sees(exhausted=False, reported_ratio=0.0)["observed"]["noticed"]
        assert "reset early" in noticed

        # it grows while nobody works here
        for step in (1, 2):
            day.report(0.01 + step * 0.04, evening)
        assert until(lambda: day.limit()["observed"]["elsewhere_points"] == 8.0 or None, what="use elsewhere")
        assert service.sample("quota_observed_elsewhere_ratio", limit="max-session") != {}

        # a kill changes nothing
        before = {name: day.limit()[name] for name in ("ends_at", "starts_at")}
        service.kill()
    with ServiceProcess(place) as service:
        day = Day(service.caught_up())
        after = day.sees(reported_ratio=0.1, exhausted=False)
        assert {name: after[name] for name in before} == before
        assert after["observed"]["points_per_usd"] is not None


def test_after_a_reset_a_window_is_unknown_and_work_goes_on(place: Place) -> None:
    place.config(CONFIG)
    with ServiceProcess(place) as service:
        day = Day(service.caught_up())
        day.report(0.99, datetime.now(UTC) + 4 * SECOND)
        waits = day.ask("waits", 1)
        assert (waits["verdict"], waits["reason"]) == ("defer", "no_headroom")
        started = service.get(f"/v1/tickets/{waits['id']}?wait=30")
        assert (started["state"], started["lease"]["reserved"]) == ("running", {"max-session": 5.0})
        unknown = day.sees(freshness="unavailable", used=0.0)
        assert "was reset on" in unknown["observed"]["why"]
        assert (unknown["observed"]["reported_ratio"], unknown["estimated"]) == (None, True)
        day.report(0.02, datetime.now(UTC) + 5 * HOUR)
        day.sees(freshness="live", used=2.0, reserved=5.0)
