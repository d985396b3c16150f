"""``track``: an SDK's client, or a function that calls a model, watched by the budget of its team.

The object that comes back is used like the one that went in. Every call that reaches a model is asked about first, from
memory where nothing is tight, and told afterwards, in the background, under ids that let it count once whoever else
tells of it. No SDK is imported: what is called, and what comes back, is known by its names.
"""

import functools
import inspect
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from quota_scheduler.client.answers import AtLimit
from quota_scheduler.client.budgets import Budgets, OnWarning, Policy, Service
from quota_scheduler.client.recorder import Recorder
from quota_scheduler.client.streams import Reckoning, Watched, WatchedManager
from quota_scheduler.client.used import Used, used_in

T = TypeVar("T")
CALLS = (
    "messages.create", "messages.stream", "messages.parse", "beta.messages.create", "beta.messages.stream",
    "chat.completions.create", "chat.completions.parse", "completions.create",
    "responses.create", "responses.parse", "embeddings.create",
    "completion", "acompletion", "responses", "aresponses", "embedding", "aembedding", "invoke", "ainvoke",
    "stream", "astream",
)  # fmt: skip
"""What reaches a model, by its path from the object that was given; the last rows are LiteLLM's and LangChain's."""
ON_THE_WAY = frozenset(call.rpartition(".")[0] for call in CALLS) | {"beta", "chat"}
COPIES = ("with_options", "copy")
"""What returns a client like this one: it is watched too."""
VENDORS = (("claude", "anthropic"), ("gpt", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"),
           ("gemini", "google"), ("mistral", "mistral"), ("deepseek", "deepseek"), ("grok", "xai"))  # fmt: skip
"""Whose a model is whose caller does not say, by how its name begins."""


class Tracker:
    """Watches the calls of one team. Made by ``Client.track``; ``flush`` waits until its usage is told."""

    def __init__(self, client: Service, policy: Policy) -> None:
        self.recorder = Recorder(client)
        self.budgets = Budgets(client, policy, self.recorder)
        self.policy = policy

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until all usage so far is told; False where it is kept in the spool for later."""
        return self.recorder.flush(seconds)

    def provider_of(self, model: str, module: str) -> tuple[str, str]:
        """Who is called with a model, and the model without that name in front."""
        vendor, slash, name = model.partition("/")
        if slash and module == "litellm":
            return self.policy.provider or vendor, name
        known = {"anthropic": "anthropic", "openai": "openai"}.get(module, "")
        guess = next((vendor for start, vendor in VENDORS if model.startswith(start)), "")
        return self.policy.provider or known or guess or "unknown", model

    def begins(self, module: str, model: str) -> tuple[str, str]:
        """The provider, and the model to call in place of ``model``, spelt as it was. Raises BudgetExhausted."""
        provider, bare = self.provider_of(model, module)
        chosen = self.budgets.begins(provider, bare)
        if chosen == bare:
            return provider, model
        return provider, model.removesuffix(bare) + chosen if "/" not in chosen else chosen

    def tell(self, provider: str, model: str, used: Used | None) -> None:
        """A call is over: count what it used."""
        if used is not None and used.tokens:
            self._put(provider, model, used)
        self.budgets.ended(used)  # not before: in between, nobody would know of it

    def _put(self, provider: str, model: str, used: Used) -> None:
        keys = used.keys() or {"key": f"sdk:{uuid.uuid4().hex}"}
        event: dict[str, Any] = {"provider": provider, **keys, "at": _now(), "model": used.model or model}
        event |= {"labels": self.policy.labels, "class": self.policy.priority, "origin": "sdk"}
        event |= {name: count for name, count in used.kinds.items() if count}
        self.recorder.put(event if used.whole else event | {"extent": "partial"})


def tracker(
    client: Service,
    *,
    team: str,
    provider: str,
    warn_at: float | None,
    at_limit: AtLimit | None,
    fallback: tuple[str, ...],
    fail: Any,
    priority: str,
    on_warning: OnWarning | None,
    labels: dict[str, str],
) -> Tracker:
    """A tracker. Raises ValueError for a threshold that is none."""
    if warn_at is not None and not 0 < warn_at <= 1:
        raise ValueError(f"warn_at={warn_at:g} is no share: write 0.8 for 80 %")
    if at_limit not in (None, "fallback", "block", "go_on"):
        raise ValueError(f"at_limit={at_limit!r} is none of fallback, block, go_on")
    named = {"team": team, **labels}
    return Tracker(
        client,
        Policy(team, provider, {k: v for k, v in named.items() if v}, warn_at, at_limit, fallback, fail, priority,
               on_warning),
    )  # fmt: skip


def watched(target: T, tracker: Tracker, *, model: str = "") -> T:
    """The object or function with its calls watched; ``model`` is what a function calls that does not say."""
    module = type(target).__module__.partition(".")[0]
    if inspect.ismodule(target):
        module = target.__name__.partition(".")[0]
    if inspect.isroutine(target) or isinstance(target, functools.partial):
        module = (getattr(target, "__module__", "") or "").partition(".")[0]
        call: Any = _watched_call(target, tracker, module, model, "")
        return call  # type: ignore[no-any-return]
    proxy: Any = _Proxy(target, tracker, module, model, "")
    return proxy  # type: ignore[no-any-return]


class _Proxy:
    """An object as its caller knows it, whose calls of models are watched; it passes for an instance of its class."""

    def __init__(self, target: Any, tracker: Tracker, module: str, model: str, path: str) -> None:
        self.__dict__.update(_quota_of=target, quota_tracker=tracker, _quota_where=(module, model, path))

    def __getattr__(self, name: str) -> Any:
        target, (module, model, path) = self.__dict__["_quota_of"], self.__dict__["_quota_where"]
        tracker, value = self.__dict__["quota_tracker"], getattr(target, name)
        full = f"{path}.{name}" if path else name
        if full in ON_THE_WAY and hasattr(value, "create"):  # OpenAI's `responses` is called, LiteLLM's calls
            return _Proxy(value, tracker, module, model, full)
        if full in CALLS and callable(value) and not isinstance(value, type):
            return _watched_call(value, tracker, module, model or _own_model(target), full)
        if full in ON_THE_WAY:
            return _Proxy(value, tracker, module, model, full)
        if not path and name in COPIES and callable(value):
            return lambda *args, **kwargs: _Proxy(value(*args, **kwargs), tracker, module, model, "")
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_quota_of"], name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        module, model, path = self.__dict__["_quota_where"]
        return _watched_call(self._quota_of, self.quota_tracker, module, model, path)(*args, **kwargs)

    def __enter__(self) -> Any:
        self._quota_of.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._quota_of.__exit__(*error)

    async def __aenter__(self) -> Any:
        await self._quota_of.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._quota_of.__aexit__(*error)

    def __repr__(self) -> str:
        return f"<tracked {self.__dict__['_quota_of']!r}>"

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.__dict__["_quota_of"])


def _own_model(target: Any) -> str:
    """The model that an object calls by itself, as LangChain's do."""
    said = getattr(target, "model_name", None) or getattr(target, "model", None)
    return said if isinstance(said, str) else ""


class _Call:
    """One call: asked about before it begins, told when it is over."""

    def __init__(
        self, tracker: Tracker, module: str, path: str, model: str, args: tuple[Any, ...], given: dict[str, Any]
    ) -> None:
        asked = given.get("model") or model
        self._tracker, self._path = tracker, path
        self.provider, self.model = tracker.begins(module, asked if isinstance(asked, str) else "")
        self.given = given | {"model": self.model} if self.model != asked or given.get("model") else given
        self._text_in = length(args, given)
        self._hides = self._ask_for_usage()

    def _ask_for_usage(self) -> bool:
        """Let a stream of chat completions end with its usage, which OpenAI only sends when asked; whether we did."""
        is_chat = self._path in ("chat.completions.create", "completions.create", "completion", "acompletion")
        options = self.given.get("stream_options")
        if not (is_chat and self.given.get("stream")) or (isinstance(options, dict) and "include_usage" in options):
            return False
        self.given = self.given | {
            "stream_options": {**(options if isinstance(options, dict) else {}), "include_usage": True}
        }
        return True

    def tell(self, used: Used | None) -> None:
        """It is over."""
        self._tracker.tell(self.provider, self.model, used)

    def over(self, answer: Any) -> Any:
        """The answer, told of; a stream is told of when it ends."""
        used = used_in(answer)
        if used is not None:
            self.tell(used)
            return answer
        reckoning = Reckoning(self.tell, model=self.model, text_in=self._text_in)
        if hasattr(answer, "__next__") or hasattr(answer, "__anext__"):
            return Watched(answer, reckoning, hide_usage=self._hides)
        if self._path.endswith(".stream") and (hasattr(answer, "__enter__") or hasattr(answer, "__aenter__")):
            return WatchedManager(answer, reckoning)
        self.tell(None)
        return answer


def _watched_call(function: Any, tracker: Tracker, module: str, model: str, path: str) -> Callable[..., Any]:
    asks = _more(function, path)
    if inspect.iscoroutinefunction(function) or _is_async(function):

        @functools.wraps(function)
        async def later(*args: Any, **given: Any) -> Any:
            import asyncio

            call = await asyncio.to_thread(_Call, tracker, module, path, model, args, asks | given)
            try:
                answer = await function(*args, **call.given)
            except BaseException:
                call.tell(None)
                raise
            return call.over(answer)

        return later

    @functools.wraps(function)
    def now(*args: Any, **given: Any) -> Any:
        call = _Call(tracker, module, path, model, args, asks | given)
        try:
            answer = function(*args, **call.given)
        except BaseException:
            call.tell(None)
            raise
        return call.over(answer)

    return now


def _is_async(function: Any) -> bool:
    """Whether a method belongs to an asynchronous client though it is wrapped by a plain function."""
    return inspect.iscoroutinefunction(inspect.unwrap(function))


def length(args: Any, given: Mapping[str, Any]) -> int:
    """About how many characters a call asks with: of what it names only what is asked, a message by its content."""
    said = [given.get(name) for name in ("messages", "input", "prompt", "system", "instructions", "tools")]
    try:
        return len(json.dumps([part for part in (*args, *said) if part], default=_content))
    except (TypeError, ValueError):
        return 0


def _content(value: Any) -> Any:
    """What stands for something that JSON does not know: of a message of LangChain, what it says."""
    return getattr(value, "content", None) or str(value)


def _more(function: Any, path: str) -> dict[str, Any]:
    """What a call is asked beside what its caller asks: a stream of LangChain, to end with its usage.

    Its models for OpenAI leave it out at every other address (`stream_usage` None), and say it where told to.
    """
    said = getattr(getattr(function, "__self__", None), "stream_usage", False)
    return {"stream_usage": True} if path in ("stream", "astream") and said is None else {}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
