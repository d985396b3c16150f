"""A plan file into a plan, and each mistake in one sentence with its place and the way out."""

import pytest

from quota_scheduler.config.nodes import Problems
from quota_scheduler.plans.plan import PlanBudget, Task, TaskPlan, WorkItem
from quota_scheduler.plans.reading import read_plan

LABELS = {"provider": "anthropic", "workflow": "nightly"}


def read(text: str) -> tuple[TaskPlan | None, list[str]]:
    problems = Problems()
    plan = read_plan(text, "nightly.yaml", problems)
    return plan, problems.sentences()


def test_a_whole_plan():
    plan, problems = read("""
meta:
  name: nightly
  class: low
  labels: {team: docs}
  environment: {LEVEL: info}
  budget: {max_quota_percent: 90, quota_ceiling_usd: 100.00, billing_cycle_start: monday}
tasks:
  - id: build
    depends_on: [design]
    work_items:
      - command: echo one
        estimate: {tokens: 50k, cost_usd: 1.5}
        environment: {LEVEL: debug}
      - id: two
        commands: ["echo 'a b'", [echo, $HOME]]
        description: the second half
  - id: design
    command: cd / && echo $HOME
    class: high
    estimate: 2M
""")
    labels = LABELS | {"team": "docs"}
    assert problems == []
    assert plan == TaskPlan(
        "nightly",
        "anthropic",
        (
            Task(
                "design",
                (
                    WorkItem(
                        "design",
                        (("/bin/sh", "-c", "cd / && echo $HOME"),),
                        {"labels": labels, "class": "high", "estimate": {"tokens": "2M"}},
                        {"LEVEL": "info"},
                    ),
                ),
            ),
            Task(
                "build",
                (
                    WorkItem(
                        "build/1",
                        (("echo", "one"),),
                        {"labels": labels, "class": "low", "estimate": {"tokens": "50k", "cost_usd": 1.5}},
                        {"LEVEL": "debug"},
                    ),
                    WorkItem(
                        "build/two",
                        (("echo", "a b"), ("echo", "$HOME")),
                        {"labels": labels, "class": "low", "describe": {"text": "the second half"}},
                        {"LEVEL": "info"},
                    ),
                ),
                ("design",),
            ),
        ),
        PlanBudget(max_quota_percent=90, quota_ceiling_usd=100, billing_cycle_start=0),
    )


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param("max_quota_percent: 90", id="the founding document's"),
        pytest.param("max-quota-percent: '90%'", id="hyphens and a sign"),
        pytest.param("max_budget_pct: 90.0", id="as the option is called"),
        pytest.param("Max_Quota_Percent: 90", id="capitals"),
    ],
)
def test_spellings_of_the_budget(spelling):
    plan, problems = read(f"meta:\n  budget:\n    {spelling}\ntasks:\n  - command: echo\n")
    assert (plan.budget if plan else None, problems) == (PlanBudget(max_quota_percent=90), [])


def a_task(line: str) -> str:
    return f"tasks:\n  - id: a\n    {line}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("tasks: [", "nightly.yaml:2: is not YAML: ", id="no YAML"),
        pytest.param("just words", "nightly.yaml: is no plan: write `tasks:` with a list of tasks", id="no mapping"),
        pytest.param("", "nightly.yaml: is no plan: write `tasks:`", id="nothing"),
        pytest.param("tasks: []", "tasks: must hold `tasks:`, a list with at least one task", id="empty"),
        pytest.param(
            a_task("command: echo\n    depends_on: [b, desing]") + "  - {id: design, command: echo}\n",
            "nightly.yaml:2: tasks[0]: depends on the unknown task 'b'", id="an unknown task",
        ),
        pytest.param(
            a_task("command: echo\n    depends_on: desing") + "  - {id: design, command: echo}\n",
            "nightly.yaml:2: tasks[0]: depends on the unknown task 'desing': did you mean 'design'?",
            id="a misspelt task",
        ),
        pytest.param(
            "tasks:\n  - {id: a, command: echo, depends_on: b}\n  - {id: b, command: echo, depends_on: a}\n",
            "nightly.yaml:2: tasks[0]: waits for itself (a → b → a): take one of these dependencies out", id="a circle",
        ),
        pytest.param(
            a_task("command: no-such-program-here --fast"),
            "nightly.yaml:3: tasks[0].command: there is no command no-such-program-here: write its path",
            id="no command",
        ),
        pytest.param(
            a_task("command: LEVEL=1 no-such-program-here | cat"),
            "nightly.yaml:3: tasks[0].command: there is no command no-such-program-here", id="in a shell line",
        ),
        pytest.param(a_task("comand: echo"), "tasks[0].comand: is an unknown key: did you mean 'command'?", id="a key"),
        pytest.param(a_task("class: urgent\n    command: echo"), "'urgent' is no class: write inter", id="a class"),
        pytest.param(a_task("estimate: 5"), "nightly.yaml:2: tasks[0]: says no command", id="nothing to run"),
        pytest.param(
            a_task("command: echo") + "  - {id: a, command: echo}\n", "is the second task 'a'", id="one id twice"
        ),
        pytest.param(
            "meta: {budget: {max_quota_percent: 900}}\ntasks: [{command: echo}]",
            "meta.budget.max_quota_percent: '900' must be a number from 1 to 100, such as 90", id="900 percent",
        ),
        pytest.param(
            "meta: {budget: {billing_cycle_start: someday}}\ntasks: [{command: echo}]",
            "meta.budget.billing_cycle_start: 'someday' is no day of the week", id="no day",
        ),
        pytest.param(
            a_task("command: !!python/object/apply:os.getcwd []"), "the tag tag:yaml.org,2002:python", id="a tag"
        ),
        pytest.param(
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
                f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
                for before, after in zip("abcde", "bcdef", strict=True)
            ),
            "is nested too deep or too large; avoid aliases", id="aliases that multiply",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_nothing_is_read(text, says):
    plan, problems = read(text)
    assert plan is None
    assert any(says in problem for problem in problems), problems
