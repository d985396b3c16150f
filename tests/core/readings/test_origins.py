"""Doors: what each reading is made of, what kind of door it is, and that every source says what it cannot see."""

import re
from pathlib import Path

import pytest

from quota_scheduler.core.ledger.source_batch import ShippedSource
from quota_scheduler.core.readings.origins import (
    BLIND_SPOTS,
    OriginActivity,
    OriginKind,
    OriginReading,
    WordActivity,
    origins,
)
from quota_scheduler.core.readings.readings import SourceReading
from tests.builders import DAY, HOUR, MINUTE, MONDAY, SECOND

PAGE = (Path(__file__).parents[3] / "docs/reference/sources.md").read_text(encoding="utf-8")


def came(origin, events=3):
    return OriginActivity(origin, events, 300, MONDAY - HOUR, MONDAY - MINUTE)


def shipped(host="build-7", silent=MINUTE):
    return ShippedSource(
        host, "codex", MONDAY - silent, 5 * SECOND, False, 2, 7, 100, 100, 3 * SECOND, "quota-scheduler 0.1.0"
    )


def doors(*, activity=(), passes=(), files=None, hosts=(), words=()):
    return origins(activity, passes, files or {}, hosts, words, MONDAY)


def test_a_source_that_is_read_here():
    passes = [SourceReading("codex", True, 4.0, 1, 12)]
    (reading,) = doors(activity=[came("codex")], passes=passes, files={"codex": 11})
    assert reading == OriginReading(
        "codex", OriginKind.FILES, 3, 300, 0, MONDAY - HOUR, MONDAY - MINUTE, 4.0, catching_up=True, errors=1, files=12
    )


def test_without_a_service_nobody_knows_how_far_reading_is_behind():
    assert doors(files={"codex": 11}) == [OriginReading("codex", OriginKind.FILES, files=11)]


@pytest.mark.parametrize(
    ("ago", "silent", "lag"),
    [
        pytest.param(MINUTE, False, 65.0, id="its lag is what it said and the silence since"),
        pytest.param(3 * DAY, True, 3 * 86_400 + 5.0, id="silent for two days: said so"),
    ],
)
def test_a_host_that_ships(ago, silent, lag):
    (reading,) = doors(hosts=[shipped(silent=ago)])
    assert reading == OriginReading(
        "codex@build-7", OriginKind.SHIPPED, lag_seconds=lag, silent=silent, errors=2, files=7,
        program="quota-scheduler 0.1.0", clock_seconds=3.0,
    )  # fmt: skip
    assert (reading.source, reading.cannot_see) == ("codex", BLIND_SPOTS["codex"])


def test_kinds_of_doors_in_their_order():
    readings = doors(
        activity=[came("otlp/claude_code/logs@laptop"), came("codex@old-host"), came("")],
        passes=[SourceReading("bill/anthropic/org", False, 0.0, 0), SourceReading("pi", False, 1.0, 0)],
        words=[WordActivity("status_line", 2, MONDAY)],
    )
    assert [(one.origin, one.door) for one in readings] == [
        ("pi", OriginKind.FILES),
        ("codex@old-host", OriginKind.SHIPPED),
        ("otlp/claude_code/logs@laptop", OriginKind.PUSHED),
        ("unnamed", OriginKind.PUSHED),
        ("bill/anthropic/org", OriginKind.BILL),
        ("status_line", OriginKind.WORD),
    ]


def test_a_reading_as_json_types():
    (reading,) = doors(activity=[came("litellm")])
    assert reading.document() == {
        "origin": "litellm", "door": "pushed", "events": 3, "tokens": 300, "windows": 0,
        "last_at": "2026-11-23T08:00:00Z", "came_at": "2026-11-23T08:59:00Z", "lag_seconds": None, "catching_up": False,
        "silent": False, "errors": None, "files": 0, "program": "", "clock_seconds": None, "source": "litellm",
        "cannot_see": BLIND_SPOTS["litellm"],
    }  # fmt: skip


def test_the_page_on_sources_says_the_same():
    table = PAGE.split("## What each door cannot see")[1]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE)) == BLIND_SPOTS
