"""Every code that an error can have is explained, on the page of the docs and on the one that the service serves."""

import ast
import re
from pathlib import Path

import pytest

from quota_scheduler.api import described, docs_page
from quota_scheduler.api.problems import HTTP
from quota_scheduler.core.cycle.requests import Refusal
from quota_scheduler.explanations import EXPLANATIONS, PAGE, Explanation

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "quota_scheduler").rglob("*.py"))


def raised() -> set[str]:
    """The codes that the program can give: of problems that are raised, classes of errors, and refused requests."""
    codes = {code for code, _ in HTTP.values()} | {refusal.value for refusal in Refusal} | {"http"}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name("Problem"), args=[_, ast.Constant(str(code)), *_]):
                    codes.add(code)
                case ast.ClassDef(bases=[ast.Name(base), *_], body=body) if base.endswith(("Error", "Exception")):
                    codes |= {code for statement in body for code in _code(statement)}
    return codes


def _code(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.Assign(targets=[ast.Name("code")], value=ast.Constant(str(code))):
            return {code}
    return set()


def test_every_code_has_its_explanation_and_no_other():
    assert set(EXPLANATIONS) == raised()


def entry(code: str, explanation: Explanation) -> str:
    """How an entry of the page reads."""
    status = f"HTTP {explanation.status}. " if explanation.status else ""
    return f"## {code}\n\n{status}{explanation.meaning}\n\n**Do:** {explanation.way_out}\n"


@pytest.mark.parametrize("code", EXPLANATIONS)
def test_the_page_explains_it(code):
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert entry(code, EXPLANATIONS[code]) in page


def test_the_page_explains_nothing_else():
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == list(EXPLANATIONS)


def test_the_service_serves_each_under_the_anchor_that_problems_name():
    anchors = re.findall(r'<h3 id="(\w+)">\1(?: <small>| *</h3>)', docs_page.page(described()))
    assert set(EXPLANATIONS) <= set(anchors)
