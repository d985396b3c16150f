"""Label sets as numbers: what events, rollups, totals and runs are stored under."""

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.store import Transaction


class LabelSets:
    """Ids of label sets, each looked up or made once per transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._ids: dict[tuple[Labels, Priority], int] = {}
        self._with_agent: dict[int, tuple[Labels, Priority]] = {}

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
        number = self._ids.get((labels, priority))
        if number is None:
            values = (*labels, priority.value)
            names = "provider, account, model, team, project, workflow, task_type, agent, priority"
            self._tx.execute(
                f"INSERT INTO label_sets ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", values
            )
            where = " AND ".join(f"{name} = ?" for name in names.split(", "))
            number = self._ids[labels, priority] = self._tx.scalar(f"SELECT id FROM label_sets WHERE {where}", values)
            if labels.agent:
                self._with_agent[number] = labels, priority
        return number
