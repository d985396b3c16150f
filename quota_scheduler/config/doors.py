"""What others push: for each door the names in it that give labels, and whose account its usage is."""

from __future__ import annotations

from collections.abc import Mapping

from quota_scheduler.config import tree
from quota_scheduler.config.fields import Fields
from quota_scheduler.config.scalars import one_of, text
from quota_scheduler.core.labels import LONGEST_VALUE

OTLP_NAMES: Mapping[str, tuple[str, ...]] = {
    "account": (),
    "team": ("team.id", "team"),
    "project": ("project.id", "project"),
    "workflow": ("workflow",),
    "task_type": ("task_type",),
    "agent": (),
    "run": ("run.id",),
}
"""Attributes of records and of their resource: what ``OTEL_RESOURCE_ATTRIBUTES`` is set to as a rule."""
LITELLM_NAMES: Mapping[str, tuple[str, ...]] = {
    "account": (),
    "team": ("x-team", "user_api_key_team_alias", "user_api_key_team_id"),
    "project": ("x-project", "user_api_key_project_alias", "user_api_key_project_id"),
    "workflow": ("x-workflow", "user_api_key_alias"),
    "task_type": ("x-task-type",),
    "agent": ("x-agent",),
    "run": ("x-run", "spend_logs_metadata.run"),
}
"""Headers of the client, what the proxy knows of the key, and ``spend_logs_metadata``."""


def read_door(top: Fields, name: str, default: Mapping[str, tuple[str, ...]]) -> tree.PushedSource:
    """The section of one door; a label that is given replaces the names that stand for it without it."""
    with top.section(name) as door:
        account = door.read("account", _value, "default")
        without = door.read("without", one_of(tree.Without), tree.Without.IGNORE)
        accounts = []
        for caller, node in sorted(door.entries("accounts").items()):
            named = door.parsed(node, _value, "")
            accounts += [(caller, named)] if named else []
        with door.section("labels") as labels:
            names = [(label, labels.several(label, _name) or given) for label, given in default.items()]
        return tree.PushedSource(account, tuple(accounts), tuple(names), without)


def _name(value: str) -> str:
    if "email" in value.lower():
        raise ValueError(f"{value!r} is about a person: e-mail addresses are not kept; name another")
    return text(value)


def _value(value: str) -> str:
    if len(value) > LONGEST_VALUE:
        raise ValueError(f"{value!r} is too long: a label has {LONGEST_VALUE} characters at most")
    return text(value)
