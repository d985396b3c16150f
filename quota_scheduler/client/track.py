"""``track(llm, team=...)``, ``langchain_callback`` and ``crewai_listener``: the short way, with a client of its own."""

from typing import Any, Literal, TypedDict, TypeVar, Unpack

from quota_scheduler.client.answers import AtLimit
from quota_scheduler.client.budgets import OnWarning
from quota_scheduler.client.connection import Client, Fail, PriorityName
from quota_scheduler.client.crewai import CrewListener, listener_of
from quota_scheduler.client.langchain import handler_of
from quota_scheduler.client.ticket_body import labels_named
from quota_scheduler.client.tracking import Tracker, tracker

T = TypeVar("T")


class Options(TypedDict, total=False):
    """What ``track`` takes too, and means the same."""

    team: str
    provider: str
    warn_at: float | None
    fail: Fail
    priority: PriorityName
    on_warning: OnWarning | None
    account: str
    project: str
    workflow: str
    task_type: str
    agent: str


DEFAULTS = {"team": "", "provider": "", "warn_at": None, "priority": "interactive", "on_warning": None}


def track(llm: T, *, client: Client | None = None, **options: Any) -> T:
    """Watch an SDK's client by a team's budget: ``Client.track`` of a client that QUOTA_URL and QUOTA_TOKEN name.

    Without ``client``, calls go on while the service is away (``fail="open"``); their usage is told later.

    >>> ask = track(lambda model: None, team="docs")
    >>> ask(model="claude-haiku-4-5") is None
    True
    """
    chosen = client or Client(fail="open")
    return chosen.track(llm, **options)


def langchain_callback(
    *, client: Client | None = None, at_limit: Literal["block", "go_on"] = "block", **options: Unpack[Options]
) -> Any:
    """A callback for LangChain: every call of a model in a chain, an agent or a graph keeps to a team's budget.

    Give it to a model (``ChatAnthropic(callbacks=[...])``) or to one call (``config={"callbacks": [...]}``). Options
    are those of ``Client.track``; a callback cannot exchange the model of a call, so ``at_limit`` refuses or goes on.
    Its ``quota_tracker.flush()`` waits until everything is told. Raises ImportError where langchain-core is missing.

    >>> from langchain_core.language_models import FakeListChatModel
    >>> llm = FakeListChatModel(responses=["All is well."])
    >>> llm.invoke("Is all well?", config={"callbacks": [langchain_callback(team="docs")]}).content
    'All is well.'
    """
    return handler_of(_tracker(client, at_limit, options))


def crewai_listener(
    *, client: Client | None = None, at_limit: Literal["block", "go_on"] = "block", **options: Unpack[Options]
) -> CrewListener:
    """A listener for CrewAI: from now on, all calls of models by crews in this process keep to a team's budget.

    Options are those of ``Client.track``. A call that no longer fits is not made: CrewAI raises LLMCallBlockedError,
    and why stands in the log; ``at_limit="go_on"`` only warns. Raises ImportError where crewai is missing.
    """
    return listener_of(_tracker(client, at_limit, options))


def _tracker(client: Client | None, at_limit: AtLimit, options: Options) -> Tracker:
    chosen, given = client or Client(fail="open"), dict(options)
    known = {name: given.pop(name) for name in (*DEFAULTS, "fail") if name in given}
    wanted: Any = DEFAULTS | {"fail": chosen.fail} | known
    labels: Any = given
    return tracker(chosen, at_limit=at_limit, fallback=(), labels=labels_named(labels), **wanted)
