"""docs/reference/config.md names every key of the configuration, its default where that is one value, and no other."""

import re
from pathlib import Path

import pytest

from quota_scheduler.config import default_config
from quota_scheduler.config.nodes import Branch, Layer, Listing, Node, Origin, Problems, Scalar
from quota_scheduler.config.places import default_database
from quota_scheduler.config.sections import Surroundings, read_config
from quota_scheduler.config.writing import redacted

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "config.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z_.<>\[\]0-9]+)` \| ([^|]*) \|", PAGE, re.MULTILINE)
ONE_OF_EACH = {
    "sources": {"claude_code": {"roots": [{"path": "/x"}], "labels": [{"when": {}, "set": {}}]}},
    "limits": [{"window": {}}],
    "bills": [{}],
    "receivers": [{}],
    "tokens": [{}],
    "tls": {},
    "alerts": {"rules": {"<rule>": {"receivers": "x"}}},
    "prices": {"<model>": {}},
}
HERE = Origin(Layer.FILE, "x", Path("/"))


def node(value: object, path: str = "") -> Node:
    """What a file with this content is read as."""
    if isinstance(value, dict):
        return Branch(HERE, path, 0, {k: node(v, f"{path}.{k}" if path else k) for k, v in value.items()})
    if isinstance(value, list):
        return Listing(HERE, path, 0, tuple(node(item, f"{path}[{i}]") for i, item in enumerate(value)))
    return Scalar(HERE, path, 0, str(value), str(value))


def as_described(key: str) -> str:
    """Every agent has the keys of the first one, and they are described there."""
    return re.sub(r"^(sources\.)(?:codex|gemini|opencode|pi|qwen|copilot)\.", r"\1claude_code.", key)


@pytest.fixture(scope="module")
def keys() -> set[str]:
    """Every key that reading a configuration asks for."""
    seen: set[str] = set()
    root = node(ONE_OF_EACH)
    assert isinstance(root, Branch)
    around = Surroundings(Path("/"), default_database({}), {}, {})
    read_config(root, around, Problems(), seen)
    return {as_described(key) for key in seen}


def test_every_key_is_described(keys):
    named = set(re.findall(r"`([a-z_.<>\[\]0-9]+)`", PAGE))
    assert keys - named == set()


def test_every_described_key_is_one(keys):
    assert {key for key, _ in ROWS} - keys == set()


def test_no_key_is_described_twice():
    names = [key for key, _ in ROWS]
    assert [name for name in names if names.count(name) > 1] == []


def flat(value: object, path: str = "") -> dict[str, str]:
    """Single values by key, as the file has them."""
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in flat(inner, f"{path}.{key}" if path else key).items()}
    return {} if isinstance(value, list) or value is None else {path: str(value)}


def comparable(written: str) -> str:
    """A default as the page has it, in the spelling of what is written back."""
    number = re.fullmatch(r"(\d+(?:\.\d+)?)(%|M)?", written)
    if number is None:
        return written.lower()
    scale = {"%": 0.01, "M": 1e6, None: 1.0}[number[2]]
    return f"{float(number[1]) * scale:g}"


def test_defaults_are_those_of_the_code():
    home = {"HOME": "/home/ann"}
    actual = {as_described(key): value for key, value in flat(redacted(default_config(home))).items()}
    told = {key: text.strip("`") for key, text in ROWS if key in actual and re.fullmatch(r"`[^`]*`", text)}
    told["database"] = f"sqlite:///{told['database'].replace('~', home['HOME'])}"
    told["spool.file"] = told["spool.file"].replace("~", home["HOME"])
    assert {key: comparable(text) for key, text in told.items()} == {key: comparable(actual[key]) for key in told}
    assert set(actual) == set(told)
