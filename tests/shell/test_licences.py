"""Licences of what ships: listed by `make licences`, and none that nobody has agreed to."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"


def test_every_licence_is_agreed_to() -> None:
    said = subprocess.run([sys.executable, SCRIPTS / "licences.py"], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout
    names = {line.split()[0] for line in said.stdout.splitlines()}
    assert {"starlette", "pydantic", "uvicorn", "apprise", "peewee"} <= names


CHOICES = [
    pytest.param("MIT", [], id="agreed"),
    pytest.param("GPL-3.0-only", ["GPL-3.0-only"], id="not agreed"),
    pytest.param("MIT OR GPL-3.0-only", [], id="one of two"),
    pytest.param("MIT AND GPL-3.0-only", ["GPL-3.0-only"], id="both of two"),
    pytest.param("unknown", ["unknown"], id="nobody knows"),
]


@pytest.mark.parametrize(("licence", "parts"), CHOICES)
def test_a_licence(monkeypatch: pytest.MonkeyPatch, licence: str, parts: list[str]) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import licences

    assert licences.strange(licence) == parts
