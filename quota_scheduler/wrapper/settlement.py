"""What is told when the command has ended: its usage, how it ended, and what its agent said of limits."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from quota_scheduler.client.connection import Client
from quota_scheduler.client.errors import Refused, Unavailable
from quota_scheduler.client.lease import Lease
from quota_scheduler.wrapper.figures import ByModel
from quota_scheduler.wrapper.meter import UsageMeter
from quota_scheduler.wrapper.notices import Notices
from quota_scheduler.wrapper.order import Order
from quota_scheduler.wrapper.sessions import Beginnings, Sessions
from quota_scheduler.wrapper.word import Said

if TYPE_CHECKING:
    from quota_scheduler.core.usage import UsageEvent

RELEASE_SECONDS = 5.0
"""A release is tried for so long; then it is spooled: nobody waits at a prompt for a service that is away."""


class Settlement:
    """Settles one run; what cannot be told is kept, and told with the next. Made before the command starts."""

    def __init__(
        self,
        order: Order,
        lease: Lease,
        client: Client,
        notices: Notices,
        sessions: Sessions,
        meter: UsageMeter,
        beginnings: Beginnings,
        said: Said,
    ) -> None:
        self._order, self._lease, self._client, self._notices = order, lease, client, notices
        self._sessions, self._meter, self._beginnings, self._said = sessions, meter, beginnings, said
        self._began = datetime.now(UTC)

    def settle(self, outcome: str) -> None:
        """Tell everything; never raises, and hides no other error."""
        lease, usage = self._lease, self._meter.usage(self._beginnings.of)
        lease.session = lease.session or self._meter.session
        if not lease.granted and self._was_told_as_it_stands():
            usage = {}
        elif not usage or self._meter.is_under_way or outcome != "completed":
            usage = self._larger(usage)
        lease.used_in_all(usage)
        lease.release(outcome, patience=RELEASE_SECONDS)
        if lease.granted and self._client.spool.holds_something:
            self._notices.say("the service is away: how this run ended is kept, and told with the next")
        self._sessions.remember(self._meter.to_remember)
        self._tell("/v1/observations", self._said.reports, "what the agent said of its limits")

    def _larger(self, printed: ByModel) -> ByModel:
        """What was printed, or what the transcript tells where that is more: what is cut prints less than it used."""
        if not self._sessions.files(self._lease.session):
            return printed
        from quota_scheduler.wrapper.transcript import usage_of

        written = usage_of([event for events in self._events().values() for event in events])
        return written if _tokens(written) > _tokens(printed) else printed

    def _was_told_as_it_stands(self) -> bool:
        """Tell the transcript of a run that has no lease: a service that reads the files too counts it once."""
        events = {agent: some for agent, some in self._events().items() if some}
        if not events:
            return False
        from quota_scheduler.wrapper.transcript import shipments

        for agent, some in events.items():
            for shipment in shipments(agent, some, self._order.labels):
                self._tell("/v1/shipments", shipment, "what this run used")
        return True

    def _events(self) -> "dict[str, Sequence[UsageEvent]]":
        session, files = self._lease.session, self._sessions.files(self._lease.session)
        if not files:
            return {}
        from quota_scheduler.wrapper.transcript import events_of

        try:
            return {agent: events_of(agent, some, session, self._began) for agent, some in files.items()}
        except Exception as error:  # whatever stands in them: what was printed counts
            self._notices.say(f"the transcript cannot be read ({type(error).__name__}): what was printed counts")
            return {}

    def _tell(self, path: str, body: Any, what: str) -> None:
        if not body:
            return
        try:
            self._client.transport.ask("POST", path, body, patience=RELEASE_SECONDS)
        except Unavailable:
            self._client.spool.put("POST", path, body)
        except Refused as refused:
            self._notices.say(f"{what} is refused: {refused}")


def _tokens(usage: ByModel) -> float:
    return sum(tokens for kinds in usage.values() for kind, tokens in kinds.items() if kind != "requests")
