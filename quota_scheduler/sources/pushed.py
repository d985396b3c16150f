"""Labels of what others push: the account by who is said to have called, all else from attributes that are chosen.

A door knows neither folder nor rule; the programs that send, or the gateway between, say on whose behalf they work.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from quota_scheduler.core.labels import LONGEST_VALUE, Labels, is_control
from quota_scheduler.core.priority import Priority

Find = Callable[[str], str]
"""From the name of an attribute, key or header to what the record says under it; empty where it does not."""


class PushedLabels(Struct, frozen=True):
    """Which names give which label; the first that a record has wins. ``accounts`` names accounts by what calls say.

    ``team`` is that of what names none.
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    account: str = "default"
    accounts: Mapping[str, str] = field(default_factory=dict)
    team: str = ""
    priority: Priority = Priority.INTERACTIVE

    @property
    def wanted(self) -> frozenset[str]:
        """Every name that is looked at."""
        return frozenset(name for names in self.names.values() for name in names)

    def labels(self, find: Find, *, provider: str, model: str, agent: str, callers: tuple[str, ...]) -> Labels:
        """The labels of a call; ``callers`` are what it says of who called."""
        account = next((self.accounts[caller] for caller in callers if caller in self.accounts), self.account)
        given = {label: self.value(label, find) for label in self.names}
        team = given.get("team") or self.team
        return Labels(
            plain(provider),
            plain(given.get("account") or account),
            plain(model),
            team,
            given.get("project", ""),
            given.get("workflow", ""),
            given.get("task_type", ""),
            given.get("agent") or agent,
        )

    def value(self, label: str, find: Find) -> str:
        """What a record says for a label, as it is kept; empty where it says nothing."""
        return next((said for name in self.names.get(label, ()) if (said := plain(find(name)))), "")


def plain(value: str) -> str:
    """A value as a label may be: one line without signs that do something, and no longer than labels are."""
    value = value.strip()
    if not value.isprintable():
        value = "".join(sign for sign in value if not is_control(sign) and not "\ud800" <= sign <= "\udfff")
    return value[:LONGEST_VALUE]
