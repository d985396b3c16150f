"""A callback of LangChain that keeps the calls of models to a team's budget, wherever in a graph they are made.

A tracked model counts what is called of it; what binds tools to it, or answers in a structure, calls the model behind
it. Callbacks hear of every call. They cannot exchange its model: where nothing fits, the call is refused.
"""

import importlib
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from quota_scheduler.client.streams import Reckoning
from quota_scheduler.client.tracking import Tracker, length
from quota_scheduler.client.used import Used, _get, _text

BASE = ("langchain_core.callbacks.base", "BaseCallbackHandler")
"""What LangChain's own handlers are: its models take no other. Looked up when asked for: no SDK is needed here."""
VENDORS = {"google_genai": "google", "google_vertexai": "google", "azure": "openai"}
"""Whose a model is, where LangChain says it by another word (`ls_provider`)."""


class CallbackOfTracker:
    """Hears of the calls of models, as LangChain's callback manager calls its handlers."""

    raise_error = True
    """A refused call is refused: LangChain otherwise logs what a handler raises."""

    def __init__(self, tracker: Tracker) -> None:
        self.quota_tracker = tracker
        self._mutex = threading.Lock()
        self._calls: dict[Any, Reckoning] = {}

    def on_chat_model_start(self, _serialized: Any, messages: Any, *, run_id: Any, **said: Any) -> None:
        """Ask for a call that begins. Raises as ``track`` does."""
        metadata, params = said.get("metadata") or {}, said.get("invocation_params") or {}
        named = (params.get("model"), params.get("model_name"), metadata.get("ls_model_name"))
        model = next(filter(None, map(_text, named)), "")
        vendor = _text(metadata.get("ls_provider"))
        provider, _ = self.quota_tracker.begins(VENDORS.get(vendor, vendor), model)
        with self._mutex:
            told = partial(self._tell, provider, model)
            self._calls[run_id] = Reckoning(told, model=model, text_in=length((messages,), {}))

    def on_llm_start(self, _serialized: Any, prompts: Any, *, run_id: Any, **said: Any) -> None:
        """Ask for a call of a model that completes texts."""
        self.on_chat_model_start(_serialized, prompts, run_id=run_id, **said)

    def on_llm_end(self, response: Any, *, run_id: Any, **_: Any) -> None:
        """Tell what a call used."""
        self._end(response, run_id, whole=True)

    def on_llm_error(self, _error: BaseException, *, run_id: Any, response: Any = None, **_: Any) -> None:
        """Tell what had gone by when a call broke off, or its stream was left."""
        self._end(response, run_id, whole=False)

    def _end(self, response: Any, run_id: Any, *, whole: bool) -> None:
        with self._mutex:
            reckoning = self._calls.pop(run_id, None)
        if reckoning is None:
            return
        usage = _get(_get(response, "llm_output"), "token_usage")
        for batch in _get(response, "generations") or ():
            for generation in batch:
                message = _get(generation, "message")
                is_told = isinstance(usage, Mapping) and message is None
                reckoning.see({"usage": usage} if is_told else message)
        reckoning.end(whole=whole)

    def _tell(self, provider: str, model: str, used: Used | None) -> None:
        self.quota_tracker.tell(provider, model, used)


def handler_of(tracker: Tracker) -> Any:
    """A handler that LangChain takes. Raises ImportError where it is not installed."""
    base = getattr(importlib.import_module(BASE[0]), BASE[1])
    return type("QuotaCallback", (CallbackOfTracker, base), {})(tracker)
