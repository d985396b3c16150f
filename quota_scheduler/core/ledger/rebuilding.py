"""Windows rebuilt from the ledger: which ones are not there yet, and what they have counted."""

from collections.abc import Collection, Iterable, Mapping

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.schedule import Calendar, Window
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import Usage

LabelSets = Mapping[int, tuple[Labels, Priority]]
"""Label sets as the store numbers them."""


def missing(balances: Balances, labels: Iterable[Labels]) -> list[LimitInstance]:
    """The instances of calendar limits that these labels count in, and that have no window of now."""
    counting = dict.fromkeys(instance for wanted in sorted(set(labels)) for instance in balances.instances(wanted))
    return [
        instance
        for instance in counting
        if isinstance(instance.limit.schedule, Calendar) and not balances.find(instance, balances.now)
    ]


def opened(balances: Balances, instances: Iterable[LimitInstance]) -> dict[Window, dict[str, Balance]]:
    """Open the windows of now of these instances, still empty; together where they span the same time."""
    by_window: dict[Window, dict[str, Balance]] = {}
    for instance in instances:
        balance = balances.open_for_use(instance, balances.now)
        if balance and balance.window:
            by_window.setdefault(balance.window, {})[instance.name] = balance
    return by_window


def sets_of(instances: Collection[LimitInstance], sets: LabelSets, balances: Balances) -> list[int]:
    """The label sets that count in any of these instances."""
    return sorted({number for numbers in sets_by(instances, sets, balances).values() for number in numbers})


def sets_by(
    instances: Collection[LimitInstance], sets: LabelSets, balances: Balances
) -> dict[LimitInstance, list[int]]:
    """The label sets that count in each instance: a set is looked at once for a limit, not for every instance."""
    limits = {instance.limit.id: instance.limit for instance in instances}.values()
    wanted = {(instance.limit.id, instance.value): instance for instance in instances}
    numbers: dict[LimitInstance, list[int]] = {instance: [] for instance in instances}
    for number, (labels, _) in sets.items():
        for limit in limits:
            if limit.selects(labels):
                instance = wanted.get((limit.id, limit.value_of(labels, balances.values[limit.id])))
                if instance:
                    numbers[instance].append(number)
    return numbers


def fill(rows: Mapping[str, Balance], used: Iterable[tuple[Labels, Usage]], balances: Balances) -> None:
    """Count what the ledger knows of windows of one span, added up by labels, without rounding anything."""
    sums = dict.fromkeys(rows, 0)
    for labels, usage in used:
        for instance in balances.instances(labels):
            if instance.name in sums:
                sums[instance.name] += instance.limit.fine_charge(usage)
    for name, balance in rows.items():
        balance.count_anew(sums[name])
