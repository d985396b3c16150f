"""The window of a limit as people write it, into a schedule and the zone its times are told in.

month    {every: week, starts: monday 09:00, timezone: Europe/Berlin}    {session: 5h}    run    (none: leases)
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from quota_scheduler.config.fields import Fields
from quota_scheduler.config.nodes import Scalar
from quota_scheduler.config.scalars import not_among, one_of, span
from quota_scheduler.core.limits.schedule import (
    Calendar,
    Every,
    PerRun,
    Schedule,
    Session,
    Unwindowed,
    check_zone,
    parse_span,
    parse_starts,
)
from quota_scheduler.core.observations.report_key import LENGTHS, ReportKey

SHORTEST_SESSION = timedelta(seconds=1)
WORDS = (*Every, "run")


def read_schedule(
    fields: Fields, zone: str, *, is_concurrency: bool, observed: ReportKey | None = None
) -> tuple[Schedule, str]:
    """The key ``window`` of a limit, with ``billing_cycle_start`` where the founding documents' spelling is used.

    A limit that a provider reports on has the provider's window where it names none.
    """
    fields.know("window", "billing_cycle_start")
    cycle = fields.has("billing_cycle_start")
    if is_concurrency:
        _unwanted(fields)
        return Unwindowed(), zone
    if not fields.has("window"):
        if cycle:
            return _calendar(fields, "billing_cycle_start", Every.WEEK, zone), zone
        if fields.has("observed"):  # where that is wrong it was reported
            length = LENGTHS[observed.window] if observed else SHORTEST_SESSION
            return (Session(length) if length else Calendar(Every.MONTH, zone, 1)), zone
        fields.missing("window", "say when it resets: day, week, month, run or {session: 5h}")
        return Unwindowed(), zone
    if isinstance(fields.node.entries["window"], Scalar):
        word = fields.read("window", _word, "")
        if word in ("", "run"):
            if cycle:
                fields.complain("billing_cycle_start", "says when a day, week or month starts: remove it")
            return (PerRun() if word else Unwindowed()), zone
        return _calendar(fields, "billing_cycle_start", Every(word), zone), zone
    with fields.section("window") as window:
        zone = window.read("timezone", check_zone, zone)
        return _spelled_out(fields, window, zone, cycle=cycle), zone


def _spelled_out(fields: Fields, window: Fields, zone: str, *, cycle: bool) -> Schedule:
    window.know("every", "starts", "timezone", "session")
    session = window.read("session", _session, None)
    every = window.read("every", one_of(Every), None)
    if window.has("session"):
        for key in ("every", "starts"):
            if window.has(key):
                window.complain(key, "does not go with a session, which its first use opens: remove it")
        if cycle:
            fields.complain("billing_cycle_start", "does not go with a session: remove it")
        return Session(session or SHORTEST_SESSION)
    if every is None:
        if not window.has("every"):
            window.missing("every", "write day, week or month, or {session: 5h}")
        return Unwindowed()
    if cycle and window.has("starts"):
        fields.complain("billing_cycle_start", "says the same as window.starts: keep one")
    if cycle:
        return _calendar(fields, "billing_cycle_start", every, zone)
    return _calendar(window, "starts", every, zone)


def _calendar(fields: Fields, key: str, every: Every, zone: str) -> Calendar:
    day, clock = fields.read(key, partial(parse_starts, every), parse_starts(every, ""))
    return Calendar(every, zone, day, clock)


def _word(value: str) -> str:
    if value in WORDS:
        return value
    try:
        parse_span(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{not_among(value, WORDS)}, or {{session: 5h}}") from None
    raise ValueError(f"{value!r} is a length of time: write {{session: {value}}}")


def _session(value: str) -> timedelta:
    length = span(value)
    if length < SHORTEST_SESSION:
        raise ValueError(f"{value!r} is too short for a window: one second at least")
    return length


def _unwanted(fields: Fields) -> None:
    for key in ("window", "billing_cycle_start"):
        if fields.has(key):
            fields.complain(key, "does not go with the unit leases, which counts what runs at once: remove it")
