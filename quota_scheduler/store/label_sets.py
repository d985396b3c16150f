"""Label sets as numbers: what events, rollups, totals and runs are stored under."""

from collections.abc import Collection

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.store import Transaction

_NAMES = "provider, account, model, team, project, workflow, task_type, agent, priority"
_MAKE = f"INSERT INTO label_sets ({_NAMES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT ({_NAMES}) DO NOTHING"
_FIND = f"SELECT id FROM label_sets WHERE {' AND '.join(f'{name} = ?' for name in _NAMES.split(', '))}"
FEW = 20
"""Label sets that are looked up one by one whatever there is."""
WORTH_ALL = 10
"""Reading a row of all takes a tenth of the time of a statement for one."""


class LabelSets:
    """Ids of label sets, each looked up or made once per transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._ids: dict[tuple[Labels, Priority], int] = {}
        self._with_agent: dict[int, tuple[Labels, Priority]] = {}

    def know(self, events: Collection[UsageEvent]) -> None:
        """Look up what many events are stored under in one go, where one by one would take longer."""
        wanted = {(event.labels, event.priority) for event in events}
        if len(wanted) > FEW and (self._tx.scalar("SELECT max(id) FROM label_sets") or 0) < len(wanted) * WORTH_ALL:
            for number, *names, priority in self._tx.rows(f"SELECT id, {_NAMES} FROM label_sets"):
                if (one := (Labels(*names), Priority(priority))) in wanted:
                    self._remember(one, number)

    def of(self, event: UsageEvent) -> int:
        """The id of an event's labels and class."""
        return self._id(event.labels, event.priority)

    def rollup(self, event: UsageEvent) -> int:
        """The id for rollups, which leave the agent out."""
        return self._id(event.labels._replace(agent="") if event.labels.agent else event.labels, event.priority)

    def without_agent(self, number: int) -> int:
        """The id for rollups of what was stored under an id of this transaction."""
        labels_and_class = self._with_agent.get(number)
        if labels_and_class is None:
            return number
        labels, priority = labels_and_class
        return self._id(labels._replace(agent=""), priority)

    def _id(self, labels: Labels, priority: Priority) -> int:
        """Looked up first: nearly all are there, and each is made once."""
        number = self._ids.get((labels, priority))
        if number is None:
            values = (*labels, priority.value)
            found: int | None = self._tx.scalar(_FIND, values)
            if found is None:
                self._tx.execute(_MAKE, values)
            number = int(found or self._tx.scalar(_FIND, values))
            self._remember((labels, priority), number)
        return number

    def _remember(self, one: tuple[Labels, Priority], number: int) -> None:
        self._ids[one] = number
        if one[0].agent:
            self._with_agent[number] = one
