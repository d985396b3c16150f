"""A listener for CrewAI: the calls of every model of every crew in the process keep to a team's budget.

CrewAI calls vendors' packages by itself, or LiteLLM's. It asks hooks before a call, where ``False`` keeps it from being
made (what a hook raises is only logged), and tells listeners afterwards, in threads of its own. Measured with 1.15.
"""

import importlib
import logging
from typing import Any

from quota_scheduler.client.errors import NotAdmitted, Unavailable
from quota_scheduler.client.tracking import Tracker
from quota_scheduler.client.used import Used, _count, _get, _text

LOG = logging.getLogger("quota_scheduler.client")


class CrewListener:
    """Asks before a call, and tells what it used."""

    def __init__(self, tracker: Tracker) -> None:
        self.quota_tracker = tracker

    def ask(self, call: Any) -> bool | None:
        """Whether a call may be made: False where not, None where it may."""
        try:
            self._provider_and_model(_get(_get(call, "llm"), "model"), begins=True)
        except (NotAdmitted, Unavailable) as no:
            LOG.warning("a call of team %s is not made: %s", self.quota_tracker.policy.team, no)
            return False
        return None

    def tell(self, _source: Any, event: Any) -> None:
        """Tell what a call used."""
        provider, model = self._provider_and_model(_get(event, "model"))
        used = Used(model, _text(_get(event, "response_id")), kinds=kinds_of(_get(event, "usage")))
        self.quota_tracker.tell(provider, model, used)

    def failed(self, _source: Any, _event: Any) -> None:
        """A call is over that used nothing anybody knows of."""
        self.quota_tracker.budgets.ended(None)

    def _provider_and_model(self, model: Any, *, begins: bool = False) -> tuple[str, str]:
        provider, bare = self.quota_tracker.provider_of(_text(model), "litellm")
        if "/" not in _text(model):
            provider, bare = self.quota_tracker.provider_of(bare, "")
        if begins:
            self.quota_tracker.budgets.begins(provider, bare)
        return provider, bare


def kinds_of(said: Any) -> dict[str, int]:
    """The kinds of tokens of an event's usage: its input includes the cache, also where Anthropic's own does not."""
    read, written = _count(said, "cached_prompt_tokens"), _count(said, "cache_creation_tokens")
    into = _count(said, "prompt_tokens") or _count(said, "input_tokens")
    out = _count(said, "completion_tokens") or _count(said, "output_tokens")
    fresh = max(0, into - read - written)
    return {"input": fresh, "cache_read": read, "cache_write_5m": written, "cache_write_1h": 0, "output": out}


def listener_of(tracker: Tracker) -> CrewListener:
    """A listener that CrewAI calls from now on. Raises ImportError where it is not installed."""
    events, hooks = (importlib.import_module(f"crewai.{name}") for name in ("events", "hooks"))
    listener = CrewListener(tracker)
    hooks.register_before_llm_call_hook(listener.ask)
    events.crewai_event_bus.on(events.LLMCallCompletedEvent)(listener.tell)
    events.crewai_event_bus.on(events.LLMCallFailedEvent)(listener.failed)
    return listener
