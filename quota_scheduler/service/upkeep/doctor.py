"""The doctor: rebuilds what raw events cover, and compares it with the counters that decisions are made on."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from quota_scheduler.core.instants import iso, to_micros
from quota_scheduler.core.labels import UNASKED, Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.names import ANY, canonical_provider
from quota_scheduler.core.units import LARGEST_SUM, Unit, format_amount
from quota_scheduler.core.usage import Usage, total
from quota_scheduler.store import Transaction, comments, ledger, rebuilt, rollups, windows
from quota_scheduler.store.database import About
from quota_scheduler.store.usage_columns import summed

UNBOUND_DAYS = timedelta(days=7)
EVER = datetime.min.replace(tzinfo=UTC)
"""Before any instant there is: an earlier build took some of before 1970 in."""
MOST_NAMED = 10
"""Values that one finding names."""


class Finding(Struct, frozen=True):
    """One check: what was looked at, whether it is wrong, and the figures."""

    check: str
    wrong: bool
    detail: str


def examine(tx: Transaction, limits: Sequence[Limit]) -> list[Finding]:
    """All checks, in the order of their weight."""
    balances = windows.load(tx, limits)
    whole = rebuilt.whole_since(tx)
    return [
        _integrity(about := tx.about()),
        *_windows(tx, balances, whole),
        *_reservations(balances),
        _rollups(tx, whole),
        _totals(tx),
        *_names(tx, balances),
        _comments(tx),
        Finding(about.name, False, f"{about.version} ({about.note})" if about.note else about.version),
    ]


def _integrity(about: About) -> Finding:
    return Finding("database", bool(about.trouble), about.trouble or "ok")


def _windows(tx: Transaction, balances: Balances, whole: datetime | None) -> Iterable[Finding]:
    """Each open window's usage against the events of its span."""
    names = {
        number: {instance.name for instance in balances.instances(labels)}
        for number, (labels, _) in ledger.label_sets(tx).items()
    }
    for balance in balances.all():
        window = balance.window
        if window is None or balance.closed or not balance.limit.is_windowed or balance.limit.unit is Unit.PERCENT:
            continue
        used = rebuilt.by_labels(tx, window.starts_at, window.ends_at)
        counted = [usage for number, usage in used.items() if balance.name in names[number]]
        fine = sum(balance.limit.fine_charge(usage) for usage in counted)
        made = min(LARGEST_SUM, fine // balance.limit.fineness)
        unit = balance.limit.unit
        detail = f"counted {format_amount(balance.used, unit)}, the ledger adds up to {format_amount(made, unit)}"
        partly = whole is not None and window.starts_at < whole and made < balance.used
        yield Finding(
            f"window {balance.name} from {iso(window.starts_at)}", made != balance.used and not partly, detail
        )


def _reservations(balances: Balances) -> Iterable[Finding]:
    """Each window's reserved and reported amounts against the open reservations in it."""
    held: dict[int, int] = {}
    extra: dict[int, int] = {}
    for row in balances.reservations.values():
        for reservation in row:
            held[reservation.window] = held.get(reservation.window, 0) + reservation.held
            extra[reservation.window] = extra.get(reservation.window, 0) + reservation.extra
    wrong = [t for t in balances.all() if t.reserved != held.get(t.id, 0) or t.reported != extra.get(t.id, 0)]
    count = sum(len(row) for row in balances.reservations.values())
    names = ", ".join(t.name for t in wrong)
    yield Finding("reservations", bool(wrong), f"do not add up in {names}" if wrong else f"{count} open, all add up")


def _rollups(tx: Transaction, whole: datetime | None) -> Finding:
    """Rollups against the events of the hours that are still whole."""
    first = tx.scalar("SELECT min(recorded_at) FROM events")
    if first is None or whole is not None:
        return Finding("rollups", False, "raw events are partly pruned: the hours that remain are compared by windows")
    rolled = total(usage for _, _, usage in ledger.hours(tx, EVER))
    summed = _all_events(tx)
    return Finding(
        "rollups", not _agree(rolled, summed), f"{rolled.tokens} tokens rolled up, {summed.tokens} in events"
    )


def _agree(one: Usage, other: Usage) -> bool:
    """Whether two sums are the same, as far as sums are kept: each stays at its bound."""
    return all(min(a, LARGEST_SUM) == min(b, LARGEST_SUM) for a, b in zip(one, other, strict=True))


def _all_events(tx: Transaction) -> Usage:
    row = tx.row(f"SELECT {summed()} FROM events")
    return Usage(*row) if row and row[0] is not None else Usage()


def _totals(tx: Transaction) -> Finding:
    rolled = total(usage for _, _, usage in ledger.hours(tx, EVER))
    kept = total(usage for _, _, usage, _ in ledger.totals(tx))
    return Finding("totals", not _agree(rolled, kept), f"{kept.tokens} tokens in totals, {rolled.tokens} in rollups")


def _names(tx: Transaction, balances: Balances) -> Iterable[Finding]:
    """Limits that nothing bound in the last seven days, what no limit took, and values that differ in case alone."""
    recent = _recent(tx)
    bound = {labels: balances.instances(labels) for labels in recent}
    used = {instance.limit.id for instances in bound.values() for instance in instances}
    idle = ", ".join(limit.id for limit in balances.limits if limit.id not in used)
    yield Finding("limits in use", False, f"no event of the last 7 days has bound {idle}" if idle else "all are bound")
    yield Finding("spellings", False, _untaken(bound, balances) or "every limit has taken what it names")
    yield Finding("letter case", False, _same_but_case(recent) or "no two values differ in case alone")
    yield _unasked(tx, balances)


def _recent(tx: Transaction) -> list[Labels]:
    """The labels of the events of the last seven days."""
    sets = ledger.label_sets(tx)
    since = to_micros(tx.now - UNBOUND_DAYS)
    numbers = sorted(row[0] for row in tx.rows("SELECT DISTINCT label_set FROM events WHERE at >= ?", (since,)))
    return list(dict.fromkeys(sets[number][0] for number in numbers))


def _unasked(tx: Transaction, balances: Balances) -> Finding:
    """How much of the last seven days has no team, and so counts in no limit per team."""
    sets = ledger.label_sets(tx)
    rows = rollups.used_since(tx, tx.now - UNBOUND_DAYS)
    tokens = sum(usage.tokens for number, usage in rows if sets[number][0].team == UNASKED)
    limits = ", ".join(limit.id for limit in balances.limits if limit.per == "team")
    text = (
        f"{format_amount(tokens)} of transcripts without a team count in none of {limits}: give them a team by a rule"
    )
    return Finding(
        "usage without a team", False, text if tokens and limits else "none that counts in no limit per team"
    )


def _untaken(bound: Mapping[Labels, Sequence[LimitInstance]], balances: Balances) -> str:
    """The models of each provider that no limit about its models took, as they were spelt."""
    about_models = [limit for limit in balances.limits if "model" in dict(limit.match)]
    untaken: dict[str, set[str]] = {}
    for labels, instances in bound.items():
        provider = canonical_provider(labels.provider)
        others = [limit for limit in about_models if limit.selects(labels._replace(model=ANY))]
        if others and not any(instance.limit in about_models for instance in instances):
            untaken.setdefault(provider, set()).add(labels.model or "no model")
    texts = [f"{', '.join(some(models))} of {provider}" for provider, models in sorted(untaken.items())]
    return f"no limit about models took {'; '.join(texts)} in the last 7 days" if texts else ""


def _same_but_case(recent: Iterable[Labels]) -> str:
    """Values of a label that count apart, though they differ in case alone."""
    texts = []
    for name in ("account", "team", "project", "workflow", "task_type"):
        spellings: dict[str, set[str]] = {}
        for labels in recent:
            spellings.setdefault(labels.value(name).casefold(), set()).add(labels.value(name))
        texts += [f"{name} {' and '.join(some(values))}" for values in spellings.values() if len(values) > 1]
    return "; ".join(some(texts)) and f"these count apart: {'; '.join(some(texts))}"


def some(values: Iterable[str]) -> list[str]:
    """The first values in order, and how many more there are."""
    ordered = sorted(values)
    more = [f"and {len(ordered) - MOST_NAMED} more"] if len(ordered) > MOST_NAMED else []
    return [*ordered[:MOST_NAMED], *more]


def _comments(tx: Transaction) -> Finding:
    """Comments at issues that could not be written, and why."""
    texts = [f"{place.repo}#{place.issue}: {why}" for place, why in comments.troubles(tx)]
    return Finding("comments at issues", False, "; ".join(some(texts)) or "none is held up")
