"""docs/reference/metrics.md names every metric with its kind, labels and meaning, and no metric that is not there."""

import re
from pathlib import Path

from quota_scheduler.core.efficiency.optimization import Optimization
from quota_scheduler.core.forecast.calibration import REMAINING
from quota_scheduler.core.forecast.risk import Risk
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.burn import CLASSES, LOOKBACKS
from quota_scheduler.core.readings.throttle_level import ThrottleLevel
from quota_scheduler.core.usage import KINDS
from quota_scheduler.metrics.caps import DECISIONS, FAILURES, OPERATIONS, SKIPS
from quota_scheduler.metrics.snapshot import FLAGS, FULL, MODELS, WORKFLOWS
from quota_scheduler.metrics.table import FAMILIES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")


def rows(section: str) -> list[tuple[str, str, tuple[str, ...], str]]:
    """The metric tables of one section: name, kind, labels, meaning."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = [
        [c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `quota")
    ]
    return [(name.strip("`"), kind, tuple(re.findall(r"`(\w+)`", labels)), help) for name, kind, labels, help in cells]


def test_every_snapshot_metric_is_described_and_no_other() -> None:
    assert rows("Snapshot") == [(f.name, f.kind, f.labels, f.help) for f in FAMILIES if not f.live]


def test_every_live_metric_is_described_and_no_other() -> None:
    assert rows("Live") == [(f.name, f.kind, f.labels, f.help) for f in FAMILIES if f.live]


def test_every_name_in_the_prose_is_a_metric() -> None:
    assert set(re.findall(r"`(quota_\w+)`", PAGE)) <= {family.name for family in FAMILIES}


def label_values(label: str) -> list[str]:
    (cell,) = re.findall(rf"^\| `{label}`[^|]*\| ([^|]*) \|$", PAGE, re.MULTILINE)
    return re.findall(r"`(\w+)`", cell)


def test_label_values_are_those_of_the_code() -> None:
    assert {label: label_values(label) for label in ("state", "risk", "level", "class", "kind", "decision")} == {
        "state": list(ThrottleLevel),
        "risk": list(Risk),
        "level": list(Optimization),
        "class": list(Priority),
        "kind": list(KINDS),
        "decision": list(DECISIONS),
    }
    assert label_values("lookback") == list(LOOKBACKS)
    assert label_values("operation") == list(OPERATIONS)
    assert label_values("horizon") == [f"over_{edge * 100:.0f}" for edge in REMAINING]
    for reasons in (FAILURES, SKIPS):
        assert ", ".join(f"`{reason}`" for reason in reasons) in PAGE


def test_lookbacks_are_those_of_the_code() -> None:
    text = re.search(r"30 days (.*?); 7 days (.*?); 24 hours (.*?); 5 hours (.*?);", PAGE)
    assert text is not None
    for described, known in zip(text.groups(), CLASSES, strict=True):
        minutes = [int(n) * (60 if unit == "h" else 1) for n, unit in re.findall(r"(\d+)(?: (h|min))?", described)]
        assert minutes == [lookback.total_seconds() / 60 for lookback in known.lookbacks]


def test_bounds_are_those_of_the_code() -> None:
    words = " ".join(PAGE.split())
    assert f"The first {FULL} limits" in words
    assert f"past {MODELS} values of `provider`" in words
    assert f"past the {WORKFLOWS} workflows" in words
    assert f"the {FLAGS} in force" in words
