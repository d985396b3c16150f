"""Variables and options put over the file: ``QUOTA_SOURCES__CLAUDE_CODE__ACCOUNT`` is ``sources.claude_code.account``.

A variable without a value counts as not set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from quota_scheduler.config.limits import VARIABLES
from quota_scheduler.config.nodes import Branch, Layer, Listing, Node, Origin, Problems, Scalar

PREFIX = "QUOTA_"
NOT_KEYS = frozenset(
    {
        *("QUOTA_TOKEN", "QUOTA_OPERATOR_TOKEN", "QUOTA_CONFIG", "QUOTA_URL"),
        *("QUOTA_LEASE", "QUOTA_TICKET", "QUOTA_KEY", "QUOTA_OPTIMIZATION_LEVEL", "QUOTA_ADVISED_MODEL"),
        *("QUOTA_SESSION", "QUOTA_RUN_FOLDER", "QUOTA_STOP_FILE", "QUOTA_CLAUDE_SETTINGS"),
        *("QUOTA_MAX_PERCENT", "QUOTA_CEILING_USD", "QUOTA_BILLING_CYCLE_START", "QUOTA_RESERVED_BUDGET_USD"),
    }
)
"""What clients read, what ``run`` tells its command, and the budget of a plan: nothing that is configured."""


def overlay(
    root: Branch, environ: Mapping[str, str], options: Mapping[str, str], folder: Path, problems: Problems
) -> list[str]:
    """Put variables, then options, over what the file says; returns the names of those that were given."""
    written = [
        (Origin(Layer.ENVIRONMENT, name, folder), name.removeprefix(PREFIX).lower().split("__"), environ[name])
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in NOT_KEYS and environ[name]
    ]
    written += [
        (Origin(Layer.COMMAND_LINE, f"--{path.replace('.', '-').replace('_', '-')}", folder), path.split("."), value)
        for path, value in options.items()
    ]
    for origin, keys, value in written:
        _put(root, origin, keys, value, problems)
    return [origin.name for origin, _, _ in written]


def chosen_amounts(environ: Mapping[str, str], folder: Path) -> dict[str, Scalar]:
    """The amounts that ``VARIABLES`` give, by limit."""
    return {
        limit: Scalar(Origin(Layer.ENVIRONMENT, name, folder), "", 0, value, value)
        for name, limit in VARIABLES.items()
        if (value := environ.get(name, "").strip())
    }


def _put(root: Branch, origin: Origin, keys: Iterable[str], value: str, problems: Problems) -> None:
    branch = root
    *above, last = keys
    for key in above:
        node = branch.entries.get(key)
        if isinstance(node, Listing):
            problems.add(Node(origin, "", 0), f"is inside the list {node.path}: set it in the file")
            return
        if not isinstance(node, Branch):
            if isinstance(node, Scalar) and node.text is not None:
                return
            node = branch.entries[key] = Branch(origin, branch.child(key), 0, {})
        branch = node
    if isinstance(branch.entries.get(last), Branch | Listing):
        problems.add(Node(origin, "", 0), f"stands for more than one value: set {branch.child(last)} in the file")
        return
    branch.entries[last] = Scalar(origin, branch.child(last), 0, value, value)
