"""A plan as it is meant: tasks in an order that keeps their dependencies, each of work items with commands."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Command = tuple[str, ...]
"""A program and its arguments; a line for the shell is ``/bin/sh -c LINE``."""
MOST_ITEMS = 1_000
"""Work items of one plan: as many as one estimate takes."""


@dataclass(frozen=True)
class PlanBudget:
    """How much of the week a plan may use (second founding document); None says nothing.

    ``max_quota_percent`` 1-100 of the weekly quota; ``quota_ceiling_usd`` is that quota, where no limit of the service
    says it; ``billing_cycle_start`` the weekday (0 Monday) at whose midnight it resets; ``reserved_budget_usd`` is left
    alone. ``limit`` names the limit of the service that is meant.
    """

    max_quota_percent: float | None = None
    quota_ceiling_usd: float | None = None
    billing_cycle_start: int | None = None
    reserved_budget_usd: float | None = None
    limit: str = ""


@dataclass(frozen=True)
class WorkItem:
    """One work item: the smallest piece that is asked for, runs under one lease, and is done or not."""

    id: str
    commands: tuple[Command, ...]
    ticket: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What was to be done, so that a changed item is not taken for one that is done."""
        return hashlib.blake2b(repr(self.commands).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Task:
    """Work items that belong together, and the tasks that must be done before."""

    id: str
    items: tuple[WorkItem, ...]
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskPlan:
    """Tasks, those that others depend on first."""

    name: str
    provider: str
    tasks: tuple[Task, ...]
    budget: PlanBudget = PlanBudget()

    @property
    def items(self) -> tuple[WorkItem, ...]:
        """Every work item in order."""
        return tuple(item for task in self.tasks for item in task.items)


def in_order(tasks: Mapping[str, Task]) -> tuple[list[Task], list[str]]:
    """The tasks, each after those it depends on, else as written; and a circle of ids, empty when there is none.

    Every dependency must be a key of ``tasks``.
    """
    order: list[Task] = []
    done: set[str] = set()
    for first in tasks:
        path: list[str] = [] if first in done else [first]
        while path:
            missing = next((name for name in tasks[path[-1]].depends_on if name not in done), "")
            if missing in path:
                return order, [*path[path.index(missing) :], missing]
            if missing:
                path.append(missing)
            else:
                done.add(path[-1])
                order.append(tasks[path.pop()])
    return order, []
