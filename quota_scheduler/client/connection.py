"""The client: asks to run, waits its turn, and answers what people ask about budgets."""

import contextlib
import functools
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from quota_scheduler.client.answers import AtLimit, Budget, Decision, UsageRow, budget_in, decision_in, usage_in
from quota_scheduler.client.errors import NotAdmitted, QuotaError, StillWaiting, Unavailable
from quota_scheduler.client.lease import Lease
from quota_scheduler.client.spool import Spool
from quota_scheduler.client.team_budgets import tightest
from quota_scheduler.client.ticket_body import labels_named, labels_of, ticket_body
from quota_scheduler.client.transport import NOT_OURS, Transport

if TYPE_CHECKING:
    from quota_scheduler.client.budgets import OnWarning

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
PriorityName = Literal["interactive", "high", "normal", "low"]
Fail = Literal["open", "closed"]
DEFAULT_URL = "http://127.0.0.1:8484"
TTL = timedelta(minutes=10)
"""Leases are short and renewed every third of this, so that a runner that dies holds nothing for long."""
POLL_SECONDS = 30.0
"""The longest the service keeps a question waiting."""
Waiting = Callable[[Decision], None]


class Client:
    """Talks to one service. It may be shared by threads and needs no closing.

    >>> client = Client()
    >>> with client.lease("docs-1", provider="anthropic", team="docs", tokens=20_000) as lease:
    ...     lease.used("claude-sonnet-5", input=1_200, output=300)
    ...     lease.tokens
    1500
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        fail: Fail = "closed",
        patience: float = 60.0,
        spool: Path | str | None = None,
    ) -> None:
        """``url`` and ``token`` are read from QUOTA_URL and QUOTA_TOKEN where they are not given.

        ``patience`` is for how many seconds a request is tried again while the service is away. ``fail`` says what
        becomes of a run then: ``closed`` raises Unavailable, ``open`` lets it run, and its usage is told later.
        ``spool`` is the file that keeps what could not be told; by default one in the user's state folder.
        """
        chosen = url or os.environ.get("QUOTA_URL") or DEFAULT_URL
        self.transport = Transport(
            chosen, token if token is not None else os.environ.get("QUOTA_TOKEN", ""), patience=patience
        )
        self.fail: Fail = fail
        self.spool = Spool(Path(spool) if spool is not None else state_folder() / _spool_of(self.transport.url))

    def __repr__(self) -> str:
        return f"<Client of {self.transport.url}>"

    # Running

    def lease(
        self,
        key: str = "",
        *,
        provider: str = "anthropic",
        tokens: int | str | None = None,
        estimate: Mapping[str, Any] | None = None,
        describe: Mapping[str, Any] | None = None,
        priority: PriorityName | None = None,
        model: str = "",
        run: str = "",
        session: str = "",
        flags: Sequence[str] = (),
        deadline: datetime | None = None,
        wait: float | timedelta | None = None,
        on_wait: Waiting | None = None,
        ttl: timedelta = TTL,
        stop: threading.Event | None = None,
        issue: str = "",
        **labels: str,
    ) -> Lease:
        """Ask to run, wait for the turn, and return the lease; use it in a ``with`` block.

        ``key`` names this piece of work: asked again with the same key, also by another process, it is the same ticket.
        Without one it is a piece of work of its own. Say how much it may take by ``tokens``, an ``estimate`` (tokens
        by kind, ``cost_usd``, ``duration``) or a description in words (``describe={"task_type": "testing", ...}``).
        Labels are account, team, project, workflow, task_type, agent.

        ``wait`` is for how long it may wait, in seconds or as a timedelta; 0 not at all, None as long as it takes.
        ``on_wait`` is called with each new decision meanwhile; setting ``stop`` gives the ticket up. ``issue`` is the
        GitHub issue at which people are told, as OWNER/NAME#NUMBER.

        Raises NotAdmitted when it may never start, StillWaiting when it could not in time (the ticket is withdrawn),
        Unavailable when the service is away, Refused when it does not understand.

        >>> client = Client()
        >>> try:
        ...     client.lease(provider="anthropic", tokens="900M", wait=0)
        ... except NotAdmitted as no:
        ...     no.reason
        'never_fits'
        """
        ticket = ticket_body(
            key or os.urandom(16).hex(), provider, tokens, estimate, describe, priority, model, run, session, flags,
            deadline, ttl, labels, issue,
        )  # fmt: skip
        ends = None if wait is None else time.monotonic() + _seconds(wait)
        return self.acquire(ticket, ends=ends, on_wait=on_wait, stop=stop)

    def acquire(
        self,
        ticket: Mapping[str, Any],
        *,
        ends: float | None = None,
        on_wait: Waiting | None = None,
        stop: threading.Event | None = None,
    ) -> Lease:
        """The lease of a ticket as ``POST /v1/tickets`` takes it, when its turn has come.

        ``ends`` is on the monotonic clock; ``stop`` gives up. Raises as ``lease`` does.
        """
        stop = stop or threading.Event()
        ttl, names = float(str(ticket["ttl"]).removesuffix("s")), labels_of(ticket)
        try:
            self.spool.tell(lambda method, path, body: self.transport.ask(method, path, body, patience=0.0))
            answer = self._sound(self.transport.ask("POST", "/v1/tickets", ticket, stop=stop))
        except QuotaError as refused:
            if self.fail == "closed" or not isinstance(refused, Unavailable):
                raise
            return Lease(self.transport, self.spool, {"key": ticket["key"]}, ttl=ttl, labels=names)
        except BaseException:
            self._withdraw_unanswered(ticket)
            raise
        try:
            answer = self._turn(answer, ends, on_wait, stop)
        except BaseException:
            self._withdraw(answer)
            raise
        return Lease(self.transport, self.spool, answer, ttl=ttl, labels=names)

    def _turn(
        self, answer: dict[str, Any], ends: float | None, on_wait: Waiting | None, stop: threading.Event
    ) -> dict[str, Any]:
        """Wait until a ticket runs. Raises NotAdmitted or StillWaiting."""
        said: Decision | None = None
        while answer["state"] not in ("running", "closed"):
            decision = decision_in(answer)
            if on_wait is not None and decision != said:
                on_wait(decision)
                said = decision
            left = POLL_SECONDS if ends is None else min(POLL_SECONDS, ends - time.monotonic())
            if left <= 0 or stop.is_set():
                raise StillWaiting(decision)
            # a service that is restarted meanwhile remembers the ticket: be patient for as long as we may wait
            patience = 3600.0 if ends is None else max(0.0, ends - time.monotonic())
            try:
                answer = self._sound(self.transport.ask(
                    "GET", f"/v1/tickets/{answer['id']}?wait={left:.1f}", wait=left, patience=patience, stop=stop
                ))  # fmt: skip
            except Unavailable:
                if not stop.is_set():
                    raise
                raise StillWaiting(decision) from None
        if answer["state"] == "closed":
            raise NotAdmitted(decision_in(answer))
        return answer

    def _sound(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """A ticket as this version knows it. Raises Unavailable where something else answers."""
        lease = answer.get("lease")
        has_lease = isinstance(lease, Mapping) and bool(lease.get("id")) and isinstance(lease.get("fence"), int)
        if not (answer.get("id") and answer.get("state")) or (answer["state"] == "running" and not has_lease):
            raise Unavailable(f"what answers at {self.transport.url} is {NOT_OURS}")
        return dict(answer)

    def _withdraw_unanswered(self, ticket: Mapping[str, Any]) -> None:
        """Give a ticket up of which nobody knows whether it arrived: asked again with its key, it says."""
        with contextlib.suppress(QuotaError):
            self._withdraw(self.transport.ask("POST", "/v1/tickets", ticket, patience=1.0))

    def _withdraw(self, answer: Mapping[str, Any]) -> None:
        """Give a ticket up that is still in line, as far as that can be told."""
        if answer.get("id") and answer.get("state") not in ("closed",):
            path = f"/v1/tickets/{answer['id']}"
            try:
                self.transport.ask("DELETE", path, patience=1.0)
            except Unavailable:
                self.spool.put("DELETE", path, None)
            except QuotaError:
                return

    def leased(self, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Let every call of a function run under a lease; options are those of ``lease``.

        The function gets the lease as ``lease`` where it has such a parameter.

        >>> client = Client()
        >>> @client.leased(provider="anthropic", workflow="docs", tokens=5_000)
        ... def summarize(text, lease=None):
        ...     lease.used("claude-haiku-4-5", input=len(text), output=10)
        ...     return text.upper()
        >>> summarize("short")
        'SHORT'
        """

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            import inspect

            takes_lease = "lease" in inspect.signature(function).parameters

            @functools.wraps(function)
            def call(*args: P.args, **kwargs: P.kwargs) -> R:
                with self.lease(**options) as lease:
                    if takes_lease:
                        kwargs["lease"] = lease
                    return function(*args, **kwargs)

            return call

        return decorate

    def preflight(
        self,
        *,
        provider: str = "anthropic",
        tokens: int | str | None = None,
        estimate: Mapping[str, Any] | None = None,
        describe: Mapping[str, Any] | None = None,
        priority: PriorityName | None = None,
        model: str = "",
        **labels: str,
    ) -> Decision:
        """What would be decided now, without asking to run; ``answer["checks"]`` says which check failed and why.

        >>> Client().preflight(provider="anthropic", tokens=20_000).fits
        True
        """
        ticket = ticket_body(
            "preflight", provider, tokens, estimate, describe, priority, model, "", "", (), None, TTL, labels
        )
        return self.decide(ticket)

    def decide(self, ticket: Mapping[str, Any], *, patience: float | None = None) -> Decision:
        """What would be decided about a ticket as ``POST /v1/preflight`` takes it; waits ``patience`` seconds."""
        return decision_in(self.transport.ask("POST", "/v1/preflight", ticket, patience=patience))

    # Budgets and reports

    def limits(self) -> list[Budget]:
        """Every limit as it stands.

        >>> [limit.limit for limit in Client().limits()][0]
        'anthropic-monthly'
        """
        return [budget_in(row) for row in self.transport.ask("GET", "/v1/limits")["limits"]]

    def remaining_budget(self, team: str, *, limit: str = "", patience: float | None = None) -> Budget | None:
        """What is left of a team's tightest limit, or of the one called ``limit``; None where no limit is about it.

        Limits are about a team that are ``per: team``, or match it. Of a team that has used nothing yet, only the limit
        ``team-daily`` is known, or the one that is named.

        >>> budget = Client().remaining_budget("growth")
        >>> budget.limit, budget.unit, budget.amount
        ('team-daily/growth', 'usd', 10.0)
        """
        return tightest(self.transport, team, limit, patience)

    def set_team_budget(self, team: str, amount: float | str, *, limit: str = "team-daily", until: str = "") -> Any:
        """Give a team an amount of its own in a limit ``per: team``; needs the role operator. Returns the limit.

        ``until`` is an instant at which the change ends; the amounts of other teams stay as they are.

        >>> client = Client()
        >>> changed = client.set_team_budget("sales", 25)
        >>> changed["holds"]["overrides"]
        {'sales': 25.0}
        """
        body: dict[str, Any] = {"overrides": {team: amount}} | ({"until": until} if until else {})
        self.transport.ask("PATCH", f"/v1/limits/{limit}", body)
        return self.transport.ask("GET", f"/v1/limits/{limit}")

    def usage_report(self, days: int = 7, by: Sequence[str] = ("day", "team")) -> list[UsageRow]:
        """Usage of the last days, by day and labels; of one, its name will do.

        >>> rows = Client().usage_report(days=7, by=["workflow"])
        >>> sum(row.tokens for row in rows) > 0
        True
        """
        by = [by] if isinstance(by, str) else by
        found = self.transport.ask("GET", f"/v1/usage/summary?days={days}&by={','.join(by)}")
        return [usage_in(row, tuple(by)) for row in found["usage"]]

    # SDKs

    def track(
        self,
        llm: T,
        *,
        team: str = "",
        provider: str = "",
        model: str = "",
        warn_at: float | None = None,
        at_limit: AtLimit | None = None,
        fallback: Sequence[str] = (),
        fail: Fail | None = None,
        priority: PriorityName = "interactive",
        on_warning: "OnWarning | None" = None,
        **labels: str,
    ) -> T:
        """An SDK's client, or a function that calls a model, watched by a team's budget; used like what was given.

        Clients of Anthropic and OpenAI, the module ``litellm``, models of LangChain, sync and async, streams included;
        of a function, one that takes ``model=`` and returns what one of those does. What is used is recorded in the
        background and counts once whoever else tells of it. ``provider`` and ``model`` are for what does not say them.

        ``warn_at`` is the share of the team's budget from which it is warned, once a window: by ``on_warning`` with the
        Budget, else as a BudgetWarning; in the log either way. When the next call fits no budget any more, ``at_limit``
        decides: ``fallback`` calls the first of ``fallback`` (by default of the service's ``models.fallback``) that
        every limit lets through and raises BudgetExhausted where there is none, ``block`` raises it at once, ``go_on``
        only warns. Both are by default as the service has them for the team's budget, else 0.8 and ``fallback``.
        ``fail`` says what becomes of calls while the service is away; as the client's own by default.

        >>> from types import SimpleNamespace
        >>> def call(model, prompt):
        ...     usage = SimpleNamespace(input_tokens=12, output_tokens=3)
        ...     return SimpleNamespace(id="msg_docs", model=model, usage=usage, text=prompt.upper())
        >>> ask = Client().track(call, team="docs", provider="anthropic")
        >>> ask(model="claude-haiku-4-5", prompt="short").text
        'SHORT'
        """
        from quota_scheduler.client.tracking import tracker, watched  # slow to load, and not everybody tracks

        watcher = tracker(
            self, team=team, provider=provider, warn_at=warn_at, at_limit=at_limit, fallback=tuple(fallback),
            fail=fail or self.fail, priority=priority, on_warning=on_warning, labels=labels_named(labels),
        )  # fmt: skip
        return watched(llm, watcher, model=model)

    def record(self, *events: Mapping[str, Any]) -> Mapping[str, Any]:
        """Record usage events, as ``POST /v1/usage`` takes them; kept in the spool while the service is away.

        >>> event = {"provider": "anthropic", "key": "call-1", "at": "2026-11-28T09:00:00Z",
        ...          "model": "claude-haiku-4-5", "input": 100, "output": 10}
        >>> Client().record(event)["accepted"]
        1
        """
        try:
            answer: Mapping[str, Any] = self.transport.ask("POST", "/v1/usage", list(events))
        except Unavailable:
            if not self.spool.put("POST", "/v1/usage", list(events)):
                raise
            return {"accepted": 0, "updated": 0, "duplicate": 0, "rejected": [], "spooled": len(events)}
        return answer


def _spool_of(url: str) -> str:
    """A file for each service: what one was not told means nothing, or something else, to another."""
    return f"client-spool-{re.sub('[^A-Za-z0-9.-]+', '_', url.partition('//')[2])}.jsonl"


def _seconds(wait: float | timedelta) -> float:
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def state_folder() -> Path:
    """Where a user's own programs keep what they need the next time: XDG_STATE_HOME, by default ~/.local/state."""
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".local/state") / "quota-scheduler"
