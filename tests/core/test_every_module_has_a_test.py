"""Every module of the core is tested where a reader looks for it: in the folder of its own name."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CORE = TESTS.parent.parent / "quota_scheduler" / "core"
MODULES = sorted(path.relative_to(CORE).with_suffix("") for path in CORE.rglob("*.py") if path.stem != "__init__")
UNTESTED = {"ledger/balances", "ledger/source_batch"}
"""Modules that only tests of other folders reach. This set may shrink, and never grow."""


def imported_in(folder: Path) -> set[str]:
    """The dotted modules that the tests of one folder import."""
    return {
        module
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for module in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    }


@pytest.mark.parametrize(
    "module", [path for path in MODULES if path.as_posix() not in UNTESTED], ids=lambda path: path.as_posix()
)
def test_a_module_is_imported_by_a_test_of_its_own_folder(module):
    assert ".".join(["quota_scheduler.core", *module.parts]) in imported_in(TESTS / module.parent)


def test_what_is_still_untested_is_there():
    assert {path.as_posix() for path in MODULES} >= UNTESTED
