"""Which model a tracked call may use: asked of the service, and remembered for as long as little can have changed.

Far from a limit an answer holds for two seconds and for as many calls as were asked about, so that a call costs no
request. Near it, every call asks. What was used is told before each question: an answer never lets go more than fits.
"""

import logging
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from quota_scheduler.client.answers import AtLimit, Budget, Decision
from quota_scheduler.client.errors import BudgetExhausted, BudgetWarning, NotAdmitted, Unavailable
from quota_scheduler.client.recorder import Recorder, Teller
from quota_scheduler.client.used import Used

LOG = logging.getLogger("quota_scheduler.client")
OnWarning = Callable[[Budget], None]
REMEMBERED_SECONDS = 2.0
"""How long an answer holds that is far from any limit: as long as the service's own readings."""
REMEMBERED_CALLS = 20
"""Calls that an answer lets go: it is remembered where so many more would fit, so a burst cannot outrun the budget."""
AWAY_SECONDS = 5.0
"""After nothing answered, calls do not try again for so long."""
ASK_PATIENCE = 0.5
"""A call waits so long for a service that is being restarted."""
WARN_AT = 0.8
"""The share of a budget from which its team is warned, where neither tracker nor service says (design, section 4)."""
AT_LIMIT: AtLimit = "fallback"
FLUSH_SECONDS = 2.0
"""Before it asks, a call waits so long for the usage of those before it to be told."""
FIRST_GUESS = {"input": 3_000, "output": 1_000}
"""Tokens of a call before the first of its kind: between the service's quick query and documentation."""
NEWEST = 0.3
"""Weight of the newest call in what the next is expected to take."""
NO_BUDGET = frozenset({"concurrency", "provider_throttled", "catching_up", "unpriced_model"})
"""Reasons that are no budget's: a call holds no lease, its SDK waits when the provider says so."""
SPENT = frozenset({"no_headroom", "exhausted", "paused", "never_fits", "throttled", "paced", "run_cap"})


class Service(Teller, Protocol):
    """What a tracker asks of a client."""

    def decide(self, ticket: Mapping[str, Any], *, patience: float | None = None) -> Decision:
        """What would be decided about a ticket."""
        ...

    def remaining_budget(self, team: str, *, limit: str = "", patience: float | None = None) -> Budget | None:
        """A team's tightest budget."""
        ...


@dataclass(frozen=True)
class Policy:
    """What a tracker does at its thresholds; see ``track``."""

    team: str
    provider: str
    labels: dict[str, str]
    warn_at: float | None
    at_limit: AtLimit | None
    fallback: tuple[str, ...]
    fail: Literal["open", "closed"]
    priority: str
    on_warning: OnWarning | None


@dataclass
class _Answer:
    model: str
    until: float
    calls: int


class Budgets:
    """Decides for the calls of one tracker. Safe to use from several threads."""

    def __init__(self, client: Service, policy: Policy, recorder: Recorder) -> None:
        self._client, self.policy, self._recorder = client, policy, recorder
        self._mutex, self._looking = threading.Lock(), threading.Lock()
        self._answers: dict[tuple[str, str], _Answer] = {}
        self._typical: dict[str, dict[str, float]] = {}
        self._warned: set[tuple[str, str]] = set()
        self._going = 0
        self._is_near = False
        self._looked_at = float("-inf")
        self._away_until = float("-inf")
        self.team_budget: Budget | None = None

    def begins(self, provider: str, model: str) -> str:
        """The model that a call may use, counted as going until ``ended``.

        Raises BudgetExhausted, NotAdmitted (an operator holds everything), Unavailable where ``fail`` is closed.
        """
        chosen = self._remembered(provider, model)
        if chosen is None:
            chosen = self._ask(provider, model)
        with self._mutex:
            self._going += 1
        return chosen

    def ended(self, used: Used | None) -> None:
        """A call is over: the next is expected to be about as large."""
        with self._mutex:
            self._going = max(0, self._going - 1)
            if used is not None and used.tokens:
                before = self._typical.get(used.model)
                share = NEWEST if before else 1.0
                kinds = before or {}
                self._typical[used.model] = self._typical[""] = {
                    name: share * count + (1 - share) * kinds.get(name, 0) for name, count in used.kinds.items()
                }

    def _remembered(self, provider: str, model: str) -> str | None:
        with self._mutex:
            answer = self._answers.get((provider, model))
            if answer is None or (self._is_near and self.at_limit != "go_on"):
                return None
            if answer.calls < 1 or time.monotonic() >= answer.until:
                return None
            answer.calls -= 1
            return answer.model

    def _ask(self, provider: str, model: str) -> str:
        now = time.monotonic()
        try:
            if now < self._away_until:
                raise Unavailable("the service did not answer a moment ago")
            if not self._recorder.flush(FLUSH_SECONDS):
                raise Unavailable("what was used could not be told to the service")
            self._look_at_budget(now, provider, model)
            chosen = self._chosen(provider, model)
        except Unavailable as away:
            if now >= self._away_until:
                self._away_until = time.monotonic() + AWAY_SECONDS
                LOG.warning("%s; calls of team %s go on: %s", away, self.policy.team, self.policy.fail == "open")
            if self.policy.fail == "closed":
                raise
            return model
        return chosen

    def _chosen(self, provider: str, model: str) -> str:
        """The model asked for where it fits, else the first of the chain that does. Raises as ``begins``."""
        if self._typical and not self._is_near:
            many = self._decide(provider, model, REMEMBERED_CALLS)
            if self._may_go(many):
                with self._mutex:
                    until = time.monotonic() + REMEMBERED_SECONDS
                    self._answers[provider, model] = _Answer(model, until, REMEMBERED_CALLS - 1)
                return model
        asked = self._decide(provider, model)
        if self._may_go(asked):
            return model
        if self.at_limit == "fallback" and asked.reason in SPENT:
            for other in self._chain(asked):
                if other != model and self._decide(provider, other).fits:
                    LOG.warning("%s Calls of team %s use %s.", asked.message, self.policy.team, other)
                    return other
        if asked.reason in SPENT:
            raise BudgetExhausted(asked, self.policy.team)
        raise NotAdmitted(asked)

    def _may_go(self, asked: Decision) -> bool:
        return asked.fits or asked.reason in NO_BUDGET or self.at_limit == "go_on"

    def _chain(self, asked: Decision) -> Sequence[str]:
        """Models to try, in order: those of the tracker, else what the service knows to fit, or to cost less."""
        if self.policy.fallback:
            return self.policy.fallback
        changes = asked.answer.get("counterfactuals") or ()
        fitting = [str(change["model"]) for change in changes if change.get("change") == "model"]
        return [*fitting, *([asked.model] if asked.model and asked.model not in fitting else [])]

    def _decide(self, provider: str, model: str, calls: int = 1) -> Decision:
        """What the service would say to the calls that are going, and so many more."""
        with self._mutex:
            typical = self._typical.get(model) or self._typical.get("") or FIRST_GUESS
            going = self._going + calls
        estimate = {name: round(count * going) for name, count in typical.items()}
        body = {
            "labels": {"provider": provider, **self.policy.labels},
            "class": self.policy.priority,
            "estimate": estimate if any(estimate.values()) else dict(FIRST_GUESS),
            "model": model,
        }
        named = {name: value for name, value in body.items() if value}
        return self._client.decide(named, patience=ASK_PATIENCE)

    @property
    def at_limit(self) -> AtLimit:
        """What becomes of a call that fits no budget any more: as the tracker was told, else as the service says."""
        by_service = self.team_budget.at_limit if self.team_budget else None
        return self.policy.at_limit or by_service or AT_LIMIT

    def _look_at_budget(self, now: float, provider: str, model: str) -> None:
        """The team's tightest budget, and a warning the first time in a window that it passes the threshold."""
        if not self.policy.team:
            return
        with self._looking:  # the others wait for the one that looks: what they decide rests on what it sees
            if now - self._looked_at < REMEMBERED_SECONDS:
                return
            try:
                self._look(provider, model)
            finally:
                self._looked_at = now

    def _look(self, provider: str, model: str) -> None:
        budget = self._client.remaining_budget(self.policy.team, patience=ASK_PATIENCE)
        self.team_budget = budget
        if budget is None or not budget.amount:
            return
        share = (budget.used + budget.reserved) / budget.amount
        self._is_near = share >= (self.policy.warn_at or budget.warn_at or WARN_AT)
        window = budget.limit, str(budget.resets_at)
        if not self._is_near or window in self._warned:
            return
        self._warned.add(window)
        sentence = (
            f"team {self.policy.team} has used {share:.0%} of {budget.limit} "
            f"({budget.used:g} of {budget.amount:g} {budget.unit}): {self._advice(provider, model)}"
        )
        LOG.warning("%s", sentence)
        if self.policy.on_warning is not None:
            self.policy.on_warning(budget)
        else:
            warnings.warn(sentence, BudgetWarning, stacklevel=7)

    def _advice(self, provider: str, model: str) -> str:
        """What to do about it: the cheaper model by its name, where one is known, and what comes at the end."""
        try:
            chain = self._chain(self._decide(provider, model))
        except Unavailable:  # a warning without a name is better than none
            chain = ()
        cheaper = next((other for other in chain if other != model), "")
        use = f"use {cheaper} in place of {model} to make it last; " if cheaper else ""
        return (
            use
            + {
                "block": "at 100 % its calls are refused",
                "fallback": "at 100 % a cheaper model is called, or none",
                "go_on": "at 100 % its calls go on",
            }[self.at_limit]
        )
