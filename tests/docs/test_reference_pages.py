"""The pages on the HTTP API and the command line name what there is, and nothing else; links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from quota_scheduler.api import ROUTES
from quota_scheduler.api.openapi import openapi
from quota_scheduler.cli import quota_scheduler_command

ROOT = Path(__file__).parents[2]
API = (ROOT / "docs/reference/http-api.md").read_text(encoding="utf-8")
CLI = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def test_every_route_is_described_with_its_role_and_no_other() -> None:
    described = re.findall(r"^\| `([A-Z]+) (/\S+)` \| (\w+) \|", API, re.MULTILINE)
    roles = {
        (method.upper(), path): re.search(r"role (\w+)", operation["description"])
        for path, operations in openapi()["paths"].items()
        for method, operation in operations.items()
    }
    expected = [(method, path.replace(":path", "")) for method, path, _ in ROUTES]
    assert [(method, path) for method, path, _ in described] == expected
    assert {(m, p): r for m, p, r in described} == {k: found[1] if found else "none" for k, found in roles.items()}


def codes() -> set[str]:
    """Every code that a problem may carry, as the source raises them."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "quota_scheduler/api").glob("*.py"))
    return set(re.findall(r"Problem\(\s*\d{3},\s*\"(\w+)\"", text)) | {"method_not_allowed"}


def test_every_problem_of_the_api_is_described() -> None:
    described = set(re.findall(r"`(\w+)`", API.split("## What can go wrong")[1]))
    refused = {"key_reused", "stale_fence", "not_owner"}
    assert codes() - {"internal_error"} | refused <= described
    # what the page names beside codes are field names
    assert described - codes() - refused == {"title", "type", "detail", "errors"}


def verbs(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every verb with its arguments, as the page writes them."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        if command.invoke_without_command:
            yield " ".join(path)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from verbs(found, (*path, name))
        return
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    shown = [f"{a.name}".upper() if a.required else f"[{a.name}]".upper() for a in arguments]
    yield " ".join([*path, *shown])


def test_every_verb_is_described_and_no_other() -> None:
    table = CLI.split("| verb | does |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) == list(verbs(quota_scheduler_command))


def test_every_exit_code_is_described() -> None:
    assert re.findall(r"^\| (\d) \|", CLI, re.MULTILINE) == ["0", "1", "2", "3"]


def test_the_first_two_commands_of_the_readme_run_and_test() -> None:
    commands = re.findall(
        r"^(?:make|quota-scheduler|curl|docker) ?\w*", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.S)), re.M
    )
    assert commands[:2] == ["make run", "make test"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []
