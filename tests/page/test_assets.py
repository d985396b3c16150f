"""The files of the page: small, nothing inline, no other host, and a policy that holds both."""

import gzip
import re

import pytest

from quota_scheduler.page.assets import INDEX, POLICY, SCRIPT, STATIC, load_assets
from quota_scheduler.page.bundle import bundled

ASSETS = load_assets()
MOST_BYTES = 60_000
"""Packed, all files together: what stands in docs/how-to/use-the-page.md."""


def test_everything_of_the_page_is_small():
    sent = (INDEX, SCRIPT, "page.css", "icon.svg")
    assert sum(len(ASSETS[name].packed) for name in sent) < MOST_BYTES


def test_every_file_is_served():
    assert set(ASSETS) == {path.name for path in STATIC.iterdir()} | {SCRIPT}


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_what_is_packed_is_the_file(name):
    assert gzip.decompress(ASSETS[name].packed) == ASSETS[name].content
    if name not in (INDEX, SCRIPT):
        assert ASSETS[name].content == (STATIC / name).read_bytes()


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_no_file_asks_another_host(name):
    text = ASSETS[name].content.decode()
    assert [url for url in re.findall(r"https?://[^\s\"'`)]+", text) if url != "http://www.w3.org/2000/svg"] == []


@pytest.mark.parametrize("name", [name for name in sorted(ASSETS) if name.endswith(".js")])
def test_no_script_makes_elements_of_text(name):
    text = ASSETS[name].content.decode()
    ways = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTML|createContextualFragment"
    )
    assert re.findall(ways, text) == []


def test_the_page_holds_no_inline_code_and_no_inline_style():
    text = ASSETS["index.html"].content.decode()
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", text) == []


def test_each_file_is_asked_for_by_its_tag():
    text = ASSETS[INDEX].content.decode()
    named = dict(re.findall(r'(?:href|src)="page/([\w.]+)\?v=(\w+)"', text))
    assert named == {name: ASSETS[name].tag for name in ("icon.svg", "page.css", SCRIPT)}


def test_the_script_has_every_module_once_and_nothing_is_imported():
    text = ASSETS[SCRIPT].content.decode()
    modules = [path.stem for path in STATIC.glob("*.js")]
    assert sorted(re.findall(r"^const (\w+)_js = \(\(\) => \{$", text, re.MULTILINE)) == sorted(modules)
    assert re.findall(r"^(?:import|export)\b.*", text, re.MULTILINE) == []


def test_modules_come_after_what_they_import_and_keep_their_names():
    modules = {
        "a": 'import { two } from "./b.js";\nconst x = two();\n',
        "b": "const x = 1;\nexport function two() {}\n",
    }
    assert bundled(modules) == (
        "const b_js = (() => {\nconst x = 1;\nfunction two() {}\n\nreturn { two };\n})();\n"
        "const a_js = (() => {\nconst { two } = b_js;\nconst x = two();\n\nreturn {  };\n})();\n"
    )


def test_the_policy_lets_in_nothing_but_our_own_files():
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
