"""What must be true after the last answer, worked out from what clients were told and nothing else."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tests.torture.operations import Operation, Verb


def used(history: Iterable[Operation], limits: Sequence[str]) -> dict[str, int]:
    """What each limit has used once every ticket has ended: the largest total that anybody was answered about a key."""
    largest: dict[str, int] = defaultdict(int)
    bound: dict[str, tuple[str, ...]] = {}
    for operation in history:
        if operation.verb in (Verb.SUBMIT, Verb.USE):
            bound[operation.key] = operation.limits
        if operation.answer and operation.verb in (Verb.USE, Verb.RENEW, Verb.RELEASE):
            largest[operation.key] = max(largest[operation.key], operation.amount)
    return {limit: sum(total for key, total in largest.items() if limit in bound[key]) for limit in limits}


def wrong_fences(history: Iterable[Operation]) -> list[str]:
    """Each lease whose fence is not its own, or not above that of every lease that was answered before it was asked."""
    wrong: list[str] = []
    asked: dict[str, float] = {}
    first: dict[str, Operation] = {}
    owner: dict[int, str] = {}
    for operation in sorted(history, key=lambda one: one.end):
        fence = operation.answer.fence if operation.answer else 0
        asked[operation.key] = min(operation.begin, asked.get(operation.key, operation.begin))
        if not fence:
            continue
        known = first.setdefault(operation.key, operation)
        if known.answer and known.answer.fence != fence:
            wrong.append(f"{operation.key} had fence {known.answer.fence} and has {fence}")
        if owner.setdefault(fence, operation.key) != operation.key:
            wrong.append(f"{operation.key} has the fence {fence} of {owner[fence]}")
    return wrong + _not_grown([replace(grant, begin=asked[key]) for key, grant in first.items()])


def _not_grown(grants: Sequence[Operation]) -> list[str]:
    """Leases that were asked for after another was answered, and have a lower fence."""
    asked = sorted(grants, key=lambda one: one.begin)
    wrong, highest, answered = [], 0, iter(sorted(grants, key=lambda one: one.end))
    following = next(answered, None)
    for grant in asked:
        while following and following.end < grant.begin:
            highest = max(highest, following.answer.fence if following.answer else 0)
            following = next(answered, None)
        if grant.answer and grant.answer.fence <= highest:
            wrong.append(f"{grant.key} was asked after fence {highest} was given, and has {grant.answer.fence}")
    return wrong
