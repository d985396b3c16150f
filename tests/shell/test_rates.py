"""How often a token may ask, and tokens that are exchanged while the service runs."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from quota_scheduler.assemble import reload_tokens
from quota_scheduler.auth import RateLimits
from quota_scheduler.config import RateLimit, load
from quota_scheduler.errors import ConfigError
from tests.shell.edge import LIMITS, Edge, start, ticket


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Ticks:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


BUCKETS = [
    pytest.param([0.0, 0.0, 0.0], [0.0, 0.0, 0.5], id="a burst of two, then one each half a second"),
    pytest.param([0.0, 0.0, 0.5], [0.0, 0.0, 0.0], id="half a second later there is one more"),
    pytest.param([0.0, 0.0, 9.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.5], id="it holds no more than a burst"),
    pytest.param([0.0, 0.0, 0.25, 0.25], [0.0, 0.0, 0.25, 0.0], id="who is refused has taken nothing"),
]


@pytest.mark.parametrize(("pauses", "waits"), BUCKETS)
def test_a_bucket(pauses: list[float], waits: list[float]) -> None:
    clock = Ticks()
    rates = RateLimits(RateLimit(2.0, 2), clock)
    told = []
    for pause in pauses:
        clock.now += pause
        told.append(round(rates.take("ci"), 6))
    assert told == waits


def test_each_name_has_its_own_and_none_without_a_rate() -> None:
    rates = RateLimits(RateLimit(1.0, 1), Ticks())
    assert [rates.take(name) for name in ("a", "b", "a")] == [0.0, 0.0, 1.0]
    rates.give_back("a")
    assert rates.take("a") == 0.0
    assert [RateLimits(clock=Ticks()).take("a") for _ in range(100)] == [0.0] * 100


LINES = f"runner:ci:{hashed('ci')}\noperator:ana:{hashed('ana')}\n"


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    (tmp_path / "tokens").write_text(LINES)
    edge = start(tmp_path, f"tokens_file: tokens\nrate_limit: {{per_second: 0.01, burst: 3}}\n{LIMITS}")
    yield edge
    edge.service.stop()


def test_who_asks_too_often_is_told_when_to_come_again(edge: Edge) -> None:
    answers = [edge.ask("GET", "/v1/queue", token="ci") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert (refused.title, refused.body["detail"]) == (
        "too_many_requests",
        f"the token 'ci' asks too often: come again in {refused.headers['retry-after']} s",
    )
    assert 95 <= int(refused.headers["retry-after"]) <= 100
    assert edge.ask("GET", "/v1/queue", token="ana").status == 200
    assert "quota_scheduler_slowed_requests_total 1.0" in edge.ask("GET", "/metrics").body
    assert edge.ask("GET", "/readyz").status == 200


def test_a_question_that_was_parked_is_not_counted(edge: Edge) -> None:
    edge.ask("POST", "/v1/tickets", ticket("all", 1000), token="ana")
    waits = edge.ask("POST", "/v1/tickets", ticket("waits", 900), token="ci").body
    answers = [edge.ask("GET", f"/v1/tickets/{waits['id']}?wait=1.05", token="ci").status for _ in range(2)]
    answers += [edge.ask("GET", f"/v1/tickets/{waits['id']}?wait=0.01", token="ci").status for _ in range(3)]
    assert answers == [200, 200, 200, 200, 429]


ROTATIONS = [
    pytest.param(f"runner:ci:{hashed('new')}\n", {"ci": 401, "new": 200}, id="one is replaced"),
    pytest.param(
        f"runner:ci:{hashed('ci')} expires=2027-01-01T00:00:00Z\nrunner:ci:{hashed('new')}\n",
        {"ci": 200, "new": 200},
        id="both hold for a while",
    ),
    pytest.param(
        f"runner:ci:{hashed('ci')} expires=2026-11-22T08:59:59Z\nrunner:ci:{hashed('new')}\n",
        {"ci": 401, "new": 200},
        id="the old one has expired",
    ),
    pytest.param(f"runner:ci:{hashed('ci')}\nrunner:ci:{hashed('new')}\n", {"ci": 200, "new": 401}, id="neither ends"),
    pytest.param(
        f"runner:ci:{hashed('ci')} expires=2027-01-01T00:00:00Z\nviewer:ci:{hashed('new')}\n",
        {"ci": 200, "new": 401},
        id="another role under the same name",
    ),
    pytest.param(f"operator:ci:{hashed('new')} team=growth\n", {"ci": 200, "new": 401}, id="an operator that is bound"),
    pytest.param(f"runner:ci:{hashed('new')} colour=red\n", {"ci": 200, "new": 401}, id="a word that nobody knows"),
    pytest.param(f"runner:ci:{hashed('new')} team=growth\n", {"ci": 200, "new": 401}, id="bound, and metrics are open"),
    pytest.param("", {"ci": 200, "new": 401}, id="a file that is being written"),
]


@pytest.mark.parametrize(("lines", "statuses"), ROTATIONS)
def test_tokens_are_exchanged_without_a_restart(tmp_path: Path, lines: str, statuses: dict[str, int]) -> None:
    (tmp_path / "tokens").write_text(LINES)
    edge = start(tmp_path, f"tokens_file: tokens\n{LIMITS}")
    try:
        mine = edge.ask("POST", "/v1/tickets", ticket("mine"), token="ci").body["id"]
        (tmp_path / "tokens").write_text(lines and f"{lines}operator:ana:{hashed('ana')}\n")
        edge.service.tokens_changed = lambda: reload_tokens(
            edge.service, lambda: load(tmp_path / "quota.yaml", {"HOME": str(tmp_path)})
        )
        edge.service.look_at_tokens()
        assert {secret: edge.ask("GET", "/v1/queue", token=secret).status for secret in statuses} == statuses
        secret = next(secret for secret, status in statuses.items() if status == 200)
        assert edge.ask("DELETE", f"/v1/tickets/{mine}", token=secret).status == 200
    finally:
        edge.service.stop()


def test_an_expired_token_says_so(tmp_path: Path) -> None:
    row = f"{{name: ci, role: runner, sha256: {hashed('ci')}, expires: '2026-11-22T09:00:00Z'}}"
    edge = start(tmp_path, f"tokens: [{row}]\n{LIMITS}")
    try:
        answer = edge.ask("GET", "/v1/queue", token="ci")
        assert (answer.status, answer.title) == (401, "no_token")
        assert answer.body["detail"] == "the token 'ci' has expired: ask an operator for the one that follows it"
    finally:
        edge.service.stop()


def test_metrics_must_be_closed_where_a_token_is_bound(tmp_path: Path) -> None:
    row = f"{{name: ci, role: runner, sha256: {hashed('ci')}, labels: {{team: growth}}}}"
    (tmp_path / "quota.yaml").write_text(f"tokens: [{row}]\n")
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "quota.yaml", {"HOME": str(tmp_path)})
    assert "metrics_auth: must be true: the token 'ci' is bound to labels" in str(raised.value)
