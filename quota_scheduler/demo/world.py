"""Who works in the demo, how much, and which limits hold."""

from dataclasses import dataclass
from datetime import timedelta

from quota_scheduler.client.connection import PriorityName

WINDOW = timedelta(seconds=30)
"""A session window unless another is asked for: what five hours are with a subscription, a second for ten minutes."""
SESSION_TOKENS = 120_000
"""What a window allows. Together the runners want a third more."""
HISTORY = timedelta(days=21)
"""Forecasts learn from whole days, and say nothing in the first seven."""
TEAM_TOKENS = 55_000
"""Of a window, for one team, before it borrows."""
NIGHTLY_TOKENS = 10_000
"""The same for the team whose work can wait."""
BORROW = 60_000
"""What a team may borrow of what the others leave unused."""
MODEL = "claude-sonnet-5"
ACCOUNT = "demo"
OTHER_AGENTS = ("codex", "gemini", "opencode", "pi", "qwen", "copilot")
"""What else the service would look for."""


@dataclass(frozen=True, slots=True)
class Runner:
    """One of the dozen: it runs again and again, ``pause`` seconds apart, each run ``calls`` calls of ``tokens``.

    ``seconds`` and ``pause`` are for windows of the usual length, and shrink or grow with them.

    ``estimate`` is what it says a run may take, in tokens; who says too much gives the rest back. ``asks``: it takes a
    lease. Who does not is a person at a terminal, whom nobody makes wait.
    """

    name: str
    team: str
    workflow: str
    priority: PriorityName
    tokens: int
    calls: int
    seconds: float
    pause: float
    estimate: int
    asks: bool = True

    @property
    def folder(self) -> str:
        """Where it works: label rules tell team and workflow by it."""
        return f"/demo/{self.team}/{self.workflow}"


RUNNERS = (
    *(Runner(f"nightly-{n}", "data", "nightly", "low", 1_250, 4, 4.0, 3.0, 8_000) for n in range(1, 5)),
    Runner("ana", "platform", "pairing", "interactive", 2_000, 1, 1.0, 3.0, 0, asks=False),
    Runner("review-1", "platform", "review", "high", 1_600, 3, 3.0, 4.0, 4_800),
    Runner("review-2", "platform", "review", "high", 1_600, 3, 3.0, 5.0, 4_800),
    *(Runner(f"content-{n}", "growth", "content", "normal", 1_200, 3, 3.0, 2.5 + n / 2, 3_600) for n in range(1, 6)),
)
USUAL_SHARE = {"pairing": 0.12, "review": 0.18, "content": 0.28, "nightly": 0.25}
"""Of a window's amount, what each workflow has used in the past: about what it wants now."""


def configuration(listen: str, window: timedelta) -> str:
    """The configuration of the demo's service, as YAML: all it reads and writes lies beside it."""
    session = f"window: {{session: {window.total_seconds():g}s}}"
    often = window / WINDOW
    mine = f"match: {{account: {ACCOUNT}}}, unit: tokens"
    return f"""\
listen: "{listen}"
database: sqlite:///demo.db
tick_seconds: {max(0.2, min(2.0, 0.5 * often)):.2f}
sources:
  claude_code:
    account: {ACCOUNT}
    roots: [claude]
    poll_seconds: {max(0.1, min(1.0, 0.3 * often)):.2f}
    labels:
{_label_rules()}
{_other_agents()}
limits:
  - {{id: session, {mine}, amount: {SESSION_TOKENS}, {session}}}
  - {{id: team-share, per: team, {mine}, amount: {TEAM_TOKENS}, overrides: {{data: {NIGHTLY_TOKENS}}},
     {session}, parent: session, borrow: {BORROW}}}
  - {{id: month, {mine}, amount: {_month_tokens(window)}, window: month, mode: warn}}
alerts:
  rules:
    usage_high: {{for: 0s, keep_firing_for: 1s}}
    exhausted: {{keep_firing_for: 1s}}
    usage_nearly_exhausted: {{enabled: false}}
    forecast_over_limit: {{enabled: false}}
"""


def _month_tokens(window: timedelta) -> int:
    """A month of which the usual windows use four fifths."""
    return round(timedelta(days=30) / window * SESSION_TOKENS * sum(USUAL_SHARE.values()) / 0.8)


def _label_rules() -> str:
    rules = {
        runner.folder: f"{{team: {runner.team}, workflow: {runner.workflow}, class: {runner.priority}}}"
        for runner in RUNNERS
    }
    return "\n".join(f'      - {{when: {{cwd: "{folder}"}}, set: {labels}}}' for folder, labels in rules.items())


def _other_agents() -> str:
    return "\n".join(f"  {name}: {{enabled: false}}" for name in OTHER_AGENTS)
