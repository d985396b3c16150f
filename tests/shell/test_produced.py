"""Cost per commit and pull request: from what Claude Code exports to what is shown. Shapes as 2.1.332 sends them."""

import time
from typing import Any

import pytest

from tests.shell.edge import Edge
from tests.shell.otlp_bodies import metric
from tests.shell.test_otlp_api import BOTH, edge, send

__all__ = ["edge"]
COMMITS, PULLS = "claude_code.commit.count", "claude_code.pull_request.count"
NOW = time.time_ns()


def made(name: str, value: float, session: str = "5e0f", *, at: int = NOW, **options: Any) -> dict[str, Any]:
    start = NOW - 10**9 if options.get("cumulative") else at - 10**9
    return metric(name, [({"session.id": session, "user.id": "u"}, value)], start=start, at=at, **options)


def use(edge: Edge, session: str, run: str, workflow: str, dollars: float) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    event = {"provider": "anthropic", "key": f"{session}-{dollars}", "at": at, "model": "claude-opus-5", "input": 1000,
             "cost_usd": dollars, "session": session, "run": run, "labels": {"workflow": workflow}}  # fmt: skip
    assert edge.ask("POST", "/v1/usage", event).status == 200


def shown(edge: Edge, path: str, rows: str, name: str) -> dict[str, tuple[Any, ...]]:
    fields = ("commits", "pull_requests", "cost_per_commit_usd", "cost_per_pull_request_usd")
    return {row[name]: tuple(row[field] for field in fields) for row in edge.ask("GET", path).body[rows]}


@pytest.mark.parametrize("as_json", BOTH)
def test_what_a_commit_costs(edge: Edge, *, as_json: bool) -> None:
    use(edge, "5e0f", "nightly-1", "nightly", 6.0)
    use(edge, "77aa", "nightly-2", "nightly", 2.0)
    use(edge, "99bb", "docs-1", "docs", 1.0)
    for body in (made(COMMITS, 1.0), made(COMMITS, 1.0), made(COMMITS, 3.0, at=NOW + 10**9), made(PULLS, 1.0)):
        assert send(edge, "metrics", body, as_json=as_json).status == 200
    assert shown(edge, "/v1/efficiency", "workflows", "workflow") == {
        "nightly": (4, 1, 2.0, 8.0),
        "docs": (None, None, None, None),
    }
    assert shown(edge, "/v1/runs", "runs", "run") == {
        "nightly-1": (4, 1, 1.5, 6.0),
        "nightly-2": (None, None, None, None),
        "docs-1": (None, None, None, None),
    }


@pytest.mark.parametrize(
    ("bodies", "commits"),
    [
        pytest.param([made(COMMITS, 2, cumulative=True), made(COMMITS, 5, cumulative=True, at=NOW + 10**9)], 5,
                     id="sums of a collector that makes them cumulative"),
        pytest.param([made(COMMITS, -1.0), made(COMMITS, 1e9), made(COMMITS, 1.0, at=NOW + 10**9)], 1,
                     id="figures that nobody can mean keep nothing else out"),
        pytest.param([made(COMMITS, 1.0, session="")], None, id="a session that is not named"),
        pytest.param([made("claude_code.session.count", 1.0)], None, id="another metric"),
    ],
)  # fmt: skip
def test_odd_exports(edge: Edge, bodies: list[dict[str, Any]], commits: int | None) -> None:
    use(edge, "5e0f", "nightly-1", "nightly", 6.0)
    for body in bodies:
        assert send(edge, "metrics", body).status == 200
    assert shown(edge, "/v1/runs", "runs", "run")["nightly-1"][0] == commits
