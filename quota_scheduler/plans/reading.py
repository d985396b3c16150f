"""A plan file into a plan: every problem at once, each with its line and the way out; then nothing is started."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from quota_scheduler.config.nodes import Branch, Listing, Node, Problems, Scalar
from quota_scheduler.config.yaml_file import node_of
from quota_scheduler.core.labels import LABEL_NAMES
from quota_scheduler.core.priority import Priority
from quota_scheduler.plans.budget import WEEKDAYS
from quota_scheduler.plans.commands import command_of, missing_program
from quota_scheduler.plans.plan import MOST_ITEMS, Command, PlanBudget, Task, TaskPlan, WorkItem, in_order

LABELS = tuple(name for name in LABEL_NAMES if name != "provider")
WORK = ("class", "model", "estimate", "describe", "description", "labels", "environment")
"""What can be said of the work of a plan, a task or one work item: the inner word rules."""
TOP = ("meta", "tasks")
META = ("name", "provider", "budget", *WORK)
TASK = ("id", "name", "command", "commands", "work_items", "depends_on", *WORK)
ITEM = ("id", "name", "command", "commands", *WORK)
BUDGET = ("max_quota_percent", "quota_ceiling_usd", "billing_cycle_start", "reserved_budget_usd", "limit")
ESTIMATE = ("tokens", "input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "cost_usd", "duration")
DESCRIBE = ("task_type", "text", "files", "complexity", "urgent")
SPELLINGS = {
    "max_budget_pct": "max_quota_percent",
    "max_budget_percent": "max_quota_percent",
    "max_quota_pct": "max_quota_percent",
    "quota_ceiling": "quota_ceiling_usd",
    "reserved_budget": "reserved_budget_usd",
    "items": "work_items",
    "title": "name",
    "env": "environment",
    "priority": "class",
    "needs": "depends_on",
}
"""Other words for the same, beside hyphens and capitals."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_plan(text: str, name: str, problems: Problems, *, search: str | None = None) -> TaskPlan | None:
    """The plan in a file's text; None when ``problems`` says something. ``search`` is the PATH of its commands."""
    root = node_of(text, name, problems)
    if len(problems):
        return None
    if not isinstance(root, Branch):
        problems.say(f"{name}: is no plan: write `tasks:` with a list of tasks, each with an id and a command")
        return None
    return _Reader(problems, search).plan(root, name)


class _Reader:
    def __init__(self, problems: Problems, search: str | None) -> None:
        self._problems, self._search = problems, search
        self._plan = ""

    def plan(self, root: Branch, file: str) -> TaskPlan | None:
        top = self._entries(root, TOP)
        meta_node = top.get("meta")
        meta = self._entries(meta_node, META) if isinstance(meta_node, Branch) else {}
        if meta_node is not None and not isinstance(meta_node, Branch):
            self._problems.add(meta_node, "must hold keys and values, such as `budget:`")
        self._plan = self._name(meta.get("name")) or re.sub(r"[^A-Za-z0-9_.-]", "-", file.rpartition("/")[2]) or "plan"
        provider = self._text(meta.get("provider")) or "anthropic"
        work = self._work(meta, {"labels": {"provider": provider, "workflow": self._plan}})
        budget = self._budget(meta.get("budget"))
        listed = top.get("tasks")
        if not isinstance(listed, Listing) or not listed.items:
            self._problems.add(listed or root, "must hold `tasks:`, a list with at least one task")
            return None
        tasks: dict[str, Task] = {}
        lines: dict[str, Node] = {}
        for number, node in enumerate(listed.items, 1):
            self._task(node, number, work, tasks, lines)
        ordered = self._ordered(tasks, lines)
        plan = TaskPlan(self._plan, provider, tuple(ordered), budget)
        if len(plan.items) > MOST_ITEMS:
            self._problems.add(listed, f"holds {len(plan.items):,} work items: split it, {MOST_ITEMS:,} are the most")
        return None if len(self._problems) else plan

    def _task(
        self, node: Node, number: int, above: Mapping[str, Any], tasks: dict[str, Task], lines: dict[str, Node]
    ) -> None:
        if not isinstance(node, Branch):
            self._problems.add(node, "must be a task: write `- id: NAME` and `command: …`")
            return
        entries = self._entries(node, TASK)
        task = self._name(entries.get("id") or entries.get("name")) or f"task-{number}"
        if task in tasks:
            self._problems.add(node, f"is the second task {task!r}: give it an id of its own")
            return
        work, lines[task] = self._work(entries, above), node
        listed = entries.get("work_items")
        if listed is not None and ("command" in entries or "commands" in entries):
            self._problems.add(node, "has both a command and work_items: keep one")
        if isinstance(listed, Listing) and listed.items:
            items = self._items(task, listed, work)
        elif listed is not None:
            self._problems.add(listed, "must be a list of work items, each with a command")
            items = []
        else:
            items = [self._item(task, node, entries, work)]
        tasks[task] = Task(task, tuple(items), tuple(self._names(entries.get("depends_on"))))

    def _items(self, task: str, listed: Listing, above: Mapping[str, Any]) -> list[WorkItem]:
        items: dict[str, WorkItem] = {}
        for number, node in enumerate(listed.items, 1):
            if isinstance(node, Scalar):
                item = f"{task}/{number}"
                entries: dict[str, Node] = {"command": node}
            elif isinstance(node, Branch):
                entries = self._entries(node, ITEM)
                item = f"{task}/{self._name(entries.get('id') or entries.get('name')) or number}"
            else:
                self._problems.add(node, "must be a work item: write `- command: …`")
                continue
            if item in items:
                self._problems.add(node, f"is the second work item {item!r}: give it an id of its own")
                continue
            items[item] = self._item(item, node, entries, self._work(entries, above))
        return list(items.values())

    def _item(self, name: str, node: Node, entries: Mapping[str, Node], work: Mapping[str, Any]) -> WorkItem:
        environment = work.get("environment", {})
        commands = self._commands(node, entries, environment.get("PATH", self._search))
        ticket = {key: value for key, value in work.items() if key != "environment"}
        if "estimate" not in ticket and "describe" not in ticket:  # its words are all there is to guess from
            ticket["describe"] = {"text": " ".join([name, *(" ".join(command) for command in commands)])[:2_000]}
        if "estimate" in ticket:
            ticket.pop("describe", None)
        return WorkItem(name, commands, ticket, environment)

    def _commands(self, node: Node, entries: Mapping[str, Node], search: str | None) -> tuple[Command, ...]:
        one, several = entries.get("command"), entries.get("commands")
        if one is not None and several is not None:
            self._problems.add(node, "has both command and commands: keep one")
        given: Iterable[Node] = ()
        if one is not None:
            given = [one]
        elif isinstance(several, Listing):
            given = several.items
        commands = []
        for entry in given:
            command = self._command(entry)
            if command is None:
                self._problems.add(entry, "must be a command line, or a list of a program and its arguments")
            elif missing := missing_program(command, search):
                self._problems.add(entry, f"there is no command {missing}: write its path, or put its folder on PATH")
            else:
                commands.append(command)
        if not given:
            self._problems.add(node, "says no command: write `command: …`")
        return tuple(commands)

    def _command(self, node: Node) -> Command | None:
        if isinstance(node, Scalar) and node.text and node.text.strip():
            return command_of(node.text.strip())
        if isinstance(node, Listing) and node.items:
            words = [item.text for item in node.items if isinstance(item, Scalar) and item.text is not None]
            return tuple(words) if len(words) == len(node.items) and words[0] else None
        return None

    def _ordered(self, tasks: Mapping[str, Task], lines: Mapping[str, Node]) -> list[Task]:
        for task in tasks.values():
            for name in task.depends_on:
                if name not in tasks:
                    close = difflib.get_close_matches(name, tasks, n=1)
                    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(list(tasks)[:20])}"
                    self._problems.add(lines[task.id], f"depends on the unknown task {name!r}: {hint}")
        if len(self._problems):
            return []
        order, circle = in_order(tasks)
        if circle:
            way = " → ".join(circle)
            self._problems.add(lines[circle[0]], f"waits for itself ({way}): take one of these dependencies out")
        return order

    # What is said of work

    def _work(self, entries: Mapping[str, Node], above: Mapping[str, Any]) -> dict[str, Any]:
        work = dict(above)
        if node := entries.get("class"):
            if (text := self._text(node)) in set(Priority):
                work["class"] = text
            else:
                self._problems.add(node, f"{text!r} is no class: write {', '.join(Priority)}")
        if node := entries.get("model"):
            work["model"] = self._text(node)
        if node := entries.get("estimate"):
            work["estimate"] = self._estimate(node)
            work.pop("describe", None)
        for name in ("description", "describe"):
            if node := entries.get(name):
                inner = self._mapping(node, DESCRIBE) if isinstance(node, Branch) else {"text": self._text(node)}
                work["describe"] = inner
                if "estimate" not in entries:
                    work.pop("estimate", None)
        if node := entries.get("labels"):
            work["labels"] = {**work.get("labels", {}), **self._mapping(node, LABELS, numbers=False)}
        if node := entries.get("environment"):
            work["environment"] = {**work.get("environment", {}), **self._environment(node)}
        return work

    def _estimate(self, node: Node) -> dict[str, Any]:
        if isinstance(node, Branch):
            return self._mapping(node, ESTIMATE)
        return {"tokens": self._text(node)}

    def _environment(self, node: Node) -> dict[str, str]:
        if not isinstance(node, Branch):
            self._problems.add(node, "must hold variables, such as `LOG_LEVEL: debug`")
            return {}
        given = {}
        for name, value in node.entries.items():
            if not _VARIABLE.fullmatch(name) or not isinstance(value, Scalar):
                self._problems.add(value, f"{name!r} is no variable with one value: write `NAME: value`")
            else:
                given[name] = value.text or ""
        return given

    def _budget(self, node: Node | None) -> PlanBudget:
        if node is None:
            return PlanBudget()
        if not isinstance(node, Branch):
            self._problems.add(node, "must hold keys and values, such as `max_quota_percent: 90`")
            return PlanBudget()
        given = {name: self._text(entry) for name, entry in self._entries(node, BUDGET).items()}
        entries = self._entries(node, BUDGET, tell=False)
        return budget_of(given, lambda name, what: self._problems.add(entries[name], what))

    # Nodes

    def _entries(self, node: Branch, names: Iterable[str], *, tell: bool = True) -> dict[str, Node]:
        """The entries under their own names; others are told with the name that may be meant."""
        wanted = tuple(names)
        entries: dict[str, Node] = {}
        for written, entry in node.entries.items():
            plain = written.strip().lower().replace("-", "_")
            key = plain if plain in wanted else SPELLINGS.get(plain, plain)
            if key not in wanted:
                close = difflib.get_close_matches(key, wanted, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(wanted)}"
                if tell:
                    self._problems.add(entry, f"is an unknown key: {hint}")
            elif key in entries:
                self._problems.add(entry, f"says {key} a second time: keep one")
            elif not (isinstance(entry, Scalar) and entry.text is None):
                entries[key] = entry
        return entries

    def _mapping(self, node: Node, names: Iterable[str], *, numbers: bool = True) -> dict[str, Any]:
        if not isinstance(node, Branch):
            self._problems.add(node, f"must hold keys and values: {', '.join(names)}")
            return {}
        texts = {name: self._text(entry) for name, entry in self._entries(node, names).items()}
        return {name: _plain(text) if numbers else text for name, text in texts.items()}

    def _text(self, node: Node | None) -> str:
        if node is None:
            return ""
        if not isinstance(node, Scalar):
            self._problems.add(node, "must be one value")
            return ""
        return (node.text or "").strip()

    def _name(self, node: Node | None) -> str:
        text = self._text(node)
        if not text:
            return ""
        name = re.sub(r"\s+", "-", text)
        if not _NAME.fullmatch(name):
            assert node is not None
            self._problems.add(node, f"{text[:40]!r} is no name: use letters, digits and _ . : -, 100 at most")
            return ""
        return name

    def _names(self, node: Node | None) -> list[str]:
        if isinstance(node, Listing):
            return [re.sub(r"\s+", "-", self._text(item)) for item in node.items]
        text = self._text(node)
        return [re.sub(r"\s+", "-", name.strip()) for name in text.split(",") if name.strip()]


def budget_of(given: Mapping[str, str], tell: Any) -> PlanBudget:
    """A budget from texts by their own names; ``tell`` hears the name and what is wrong with it."""

    def number(name: str, least: float, most: float, example: str) -> float | None:
        text = given.get(name, "").strip()
        if not text:
            return None
        try:
            value = float(text.removesuffix("%").removeprefix("$").replace("_", "").strip())
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            tell(name, f"{text[:40]!r} must be a number from {least:g} to {most:g}, such as {example}")
            return None
        return value

    weekday = given.get("billing_cycle_start", "").strip().lower()
    days = [number for number, day in enumerate(WEEKDAYS) if len(weekday) >= 3 and day.startswith(weekday)]
    if weekday and not days:
        tell("billing_cycle_start", f"{weekday[:40]!r} is no day of the week: write one such as monday")
    return PlanBudget(
        max_quota_percent=number("max_quota_percent", 1, 100, "90"),
        quota_ceiling_usd=number("quota_ceiling_usd", 0.01, 1e9, "100.00"),
        billing_cycle_start=days[0] if days else None,
        reserved_budget_usd=number("reserved_budget_usd", 0, 1e9, "10.00"),
        limit=given.get("limit", "").strip(),
    )


def _plain(text: str) -> Any:
    """A number or yes and no as JSON has them; everything else as it is written."""
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"[0-9]{1,18}", text):
        return int(text)
    return float(text) if re.fullmatch(r"\$?[0-9]{1,12}\.[0-9]{1,12}", text.removeprefix("$")) else text
