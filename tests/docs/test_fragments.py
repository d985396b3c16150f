"""YAML and JSON that the docs show is what the service takes: configurations load, bodies of requests are valid."""

import json
import re

import pytest
import yaml

from quota_scheduler.api.alerts import SilenceBody
from quota_scheduler.api.observations import ObservationBody
from quota_scheduler.api.schemas import EventBody, ReportBody, TicketBody
from quota_scheduler.config import load
from quota_scheduler.errors import ConfigError
from tests.docs.command_blocks import ROOT, blocks

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOREIGN = {
    "connect-prometheus.md": 3,  # of Prometheus
    "gate-a-ci-job.md": 1,  # of GitHub Actions
    "run-in-github-actions.md": 2,
    "receive-usage.md": 1,  # of LiteLLM
    "run-a-plan.md": 1,  # a plan
}
"""YAML that configures something else, by page."""
BODIES = {
    "Tickets": TicketBody,
    "Reports": ReportBody,
    "Usage events": EventBody,
    "Observations": ObservationBody,
    "Silences": SilenceBody,
}
"""Chapters of the HTTP API that show a body, and what validates it there."""


def named(block):
    return pytest.param(block, id=block.place.replace("docs/", "").replace(":", " line "))


def yamls():
    return [
        named(block)
        for page in PAGES
        for block in blocks(page)
        if block.language == "yaml" and page.name not in FOREIGN
    ]


def as_configuration(text, folder):
    """A fragment as a whole file: receivers by themselves belong under their key, and what it refers to is there."""
    if isinstance(yaml.safe_load(text), list):
        text = "receivers:\n" + re.sub("^", "  ", text, flags=re.MULTILINE)
    if "[ops]" in text:
        text += "\nreceivers:\n  - {id: ops, url: 'json://localhost'}\n"
    for name in re.findall(r"_file: (\S+?)[,}\s]", text + "\n"):
        (folder / name.rsplit("/", 1)[-1]).write_text("a secret of some length")
        text = text.replace(name, str(folder / name.rsplit("/", 1)[-1]))
    return text


@pytest.mark.parametrize("block", yamls())
def test_a_configuration_loads(block, tmp_path):
    path = tmp_path / "quota.yaml"
    path.write_text(as_configuration(block.text, tmp_path))
    names = re.findall(r"\$\{(\w+)", block.text)
    environ = {name: "hush" if "PASSWORD" in name else "https://example.org/x" for name in names}
    environ["HOME"] = str(tmp_path)
    try:
        load(path, environ)
    except ConfigError as error:
        pytest.fail(f"{block.place}: {error}")


def test_what_configures_something_else_is_counted():
    counts = {
        page.name: sum(block.language == "yaml" for block in blocks(page)) for page in PAGES if page.name in FOREIGN
    }
    assert counts == FOREIGN


@pytest.mark.parametrize(("chapter", "model"), [pytest.param(*row, id=row[0]) for row in BODIES.items()])
def test_the_body_of_a_request_is_taken(chapter, model):
    shown = _first_json_after(f"## {chapter}")
    for one in shown if isinstance(shown, list) else [shown]:
        model.model_validate(one)


def _first_json_after(heading):
    page = ROOT / "docs/reference/http-api.md"
    line = page.read_text(encoding="utf-8").splitlines().index(heading)
    return json.loads(next(block.text for block in blocks(page) if block.language == "json" and block.line > line))


@pytest.mark.parametrize(
    "block", [named(block) for page in PAGES for block in blocks(page) if block.language == "json"]
)
def test_json_is_json(block):
    json.loads(block.text)
