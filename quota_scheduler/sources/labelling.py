"""Labels of transcript lines: by the first matching rule, else by the folder in which the session began.

line ──► its file ──► the root that holds it ──► account
                 └──► where its session began ──► project, workflow, and what rules look at
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from quota_scheduler.core.labels import LONGEST_VALUE, LabelRule, Labels, label_transcript
from quota_scheduler.core.priority import Priority
from quota_scheduler.sources.homes import Homes
from quota_scheduler.sources.transcript import Labeller

PROVIDER = "anthropic"
"""Whose client writes the transcripts."""
MOST_REMEMBERED = 4096


class Labelling:
    """Labels lines; as it is those of no file in particular, or with ``of`` those of one."""

    def __init__(
        self,
        rules: Iterable[LabelRule] = (),
        *,
        account: str = "default",
        accounts: Mapping[Path, str] | None = None,
        home: Path | None = None,
        team: str = "",
    ) -> None:
        """``team`` is that of what no rule gives one, ``account`` that of all roots that ``accounts`` do not name.

        ``~`` in a rule stands for ``home``. A rule that sets no class leaves the usage ``interactive``: people.
        """
        self._rules = tuple(expanded_rule(rule, home) for rule in rules)
        self._account, self._accounts = account, {str(root): name for root, name in (accounts or {}).items()}
        self._homes, self._team = Homes(), team
        self._labels = lru_cache(MOST_REMEMBERED)(self._labels_of)

    def __reduce__(self) -> tuple[Any, ...]:
        """So that another process may label: its caches stay here."""
        accounts = {Path(root): name for root, name in self._accounts.items()}
        return _labelling, (self._rules, self._account, accounts, self._team)

    def __call__(self, cwd: str, model: str, branch: str, _session: str = "") -> tuple[Labels, Priority]:
        """The labels of a line whose file is not known."""
        return self._labels(cwd, model, branch, "")

    def of(self, path: str, roots: Iterable[Path] = ()) -> Labeller:
        """The function that labels the lines of one file under one of the roots."""
        holding = [str(root) for root in roots if path.startswith(f"{root}/")]
        root = max(holding, key=len, default="")
        began = lru_cache(MOST_REMEMBERED)(partial(self._homes.began, path))

        @lru_cache(MOST_REMEMBERED)
        def label(cwd: str, model: str, branch: str, session: str) -> tuple[Labels, Priority]:
            return self._labels(began(session) or cwd, model, branch, root)

        return label

    def _labels_of(self, cwd: str, model: str, branch: str, root: str) -> tuple[Labels, Priority]:
        facts = {"cwd": cwd, "model": model, "branch": branch, "root": root.removesuffix("/projects")}
        account = self._accounts.get(root, self._account)
        labels, priority = label_transcript(facts, self._rules, provider=PROVIDER, account=account, model=model)
        labels = labels._replace(team=labels.team or self._team)
        return Labels(*(value[:LONGEST_VALUE] for value in labels)), priority or Priority.INTERACTIVE


def _labelling(rules: tuple[LabelRule, ...], account: str, accounts: Mapping[Path, str], team: str) -> Labelling:
    return Labelling(rules, account=account, accounts=accounts, team=team)


def expanded_rule(rule: LabelRule, home: Path | None) -> LabelRule:
    """The rule with ``home`` for the ``~`` of its patterns."""
    if home is None:
        return rule
    when = tuple((name, f"{home}{pattern[1:]}" if pattern.startswith("~/") else pattern) for name, pattern in rule.when)
    return replace(rule, when=when)
