"""Where an agent's use is told by doors that cannot be matched call by call: which counts, which is left out."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from quota_scheduler.core.ledger.doors import RULED_BY, Teller, Telling


@dataclass(frozen=True, slots=True)
class ChosenDoor:
    """One agent of one account on one host: ``left_out`` does not count in hours that ``counted`` tells of as well."""

    account: str
    agent: str
    host: str
    counted: tuple[Telling, ...]
    left_out: tuple[Telling, ...]

    @property
    def sentence(self) -> str:
        """The same in words."""
        whose = f"{self.agent}{f' of {self.account}' if self.account else ''}{f' on {self.host}' if self.host else ''}"
        counted, left_out = (" and ".join(one.value for one in doors) for doors in (self.counted, self.left_out))
        return f"{whose}: {counted} count, {left_out} only where those tell nothing."

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "account": self.account,
            "agent": self.agent,
            "host": self.host,
            "counted": [one.value for one in self.counted],
            "left_out": [one.value for one in self.left_out],
            "detail": self.sentence,
        }


def chosen_doors(tellers: Iterable[Teller]) -> list[ChosenDoor]:
    """The choices there were to make, by agent, account and host; doors that are matched by ids need none."""
    tellings: dict[tuple[str, str, str], set[Telling]] = defaultdict(set)
    for teller in tellers:
        tellings[teller.account, teller.agent, teller.host].add(teller.telling)
    choices = []
    for (account, agent, host), told in sorted(tellings.items(), key=lambda pair: (pair[0][1], pair[0])):
        left_out = {one for one in told if RULED_BY.get(one, frozenset()) & told}
        if left_out:
            counted = told & frozenset().union(*(RULED_BY[one] for one in left_out)) - left_out or told - left_out
            choices.append(ChosenDoor(account, agent, host, _in_order(counted), _in_order(left_out)))
    return choices


def _in_order(tellings: Iterable[Telling]) -> tuple[Telling, ...]:
    order = list(Telling)
    return tuple(sorted(tellings, key=order.index))
