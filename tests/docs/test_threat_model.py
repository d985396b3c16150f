"""The threat model names a test for each of its claims, and every one of them exists."""

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
PAGE = (TESTS.parent / "docs/explanation/threat-model.md").read_text(encoding="utf-8")
ROWS = [row.split("|") for row in PAGE.splitlines() if row.startswith("| ") and "proved by" not in row]


def test_every_claim_names_tests_that_exist() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py") if path != Path(__file__))
    assert len(ROWS) >= 10
    for _, claim, proofs, _ in ROWS:
        names = re.findall(r"`(test_\w+)`", proofs)
        assert names, claim
        assert [name for name in names if f"def {name}(" not in source] == [], claim
