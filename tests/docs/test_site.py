"""The docs build as a site, every link and anchor in them leads somewhere, and nothing is loaded from another host."""

import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LOADS = ("script", "img", "link", "iframe", "source")
"""Elements whose address a browser asks for by itself."""


class Links(HTMLParser):
    """What a page leads to, what it loads, and where in it one can arrive."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.leads: list[str] = []
        self.loads: list[str] = []
        self.anchors = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors.add(values.get("id", ""))
        address = values.get("href") or values.get("src")
        if address and tag == "a":
            self.leads.append(address)
        elif address and tag in LOADS and values.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(address)


def built(docs: Path, into: Path) -> subprocess.CompletedProcess[str]:
    """Build these docs with our settings in a folder of their own."""
    (into / "zensical.toml").write_text((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    shutil.copytree(docs, into / "docs")
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean"]
    return subprocess.run(command, cwd=into, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = built(DOCS, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site):
    return {page: Links(page.read_text(encoding="utf-8")) for page in site.rglob("*.html") if page.name != "404.html"}


def test_every_link_arrives(pages):
    lost = [
        f"{page.name}: {link}"
        for page, links in pages.items()
        for link in links.leads
        if not urlsplit(link).scheme and not arrives(page, link, pages)
    ]
    assert lost == []


def arrives(page: Path, link: str, pages: dict[Path, Links]) -> bool:
    """Whether a link of a page leads to a page and a place in it, or to a file."""
    to = urlsplit(link)
    target = (page.parent / unquote(to.path)).resolve() if to.path else page
    if target.is_dir():
        target /= "index.html"
    return unquote(to.fragment) in pages[target].anchors if target in pages else target.is_file()


def test_nothing_is_loaded_from_another_host(pages):
    assert {load for links in pages.values() for load in links.loads if urlsplit(load).netloc} == set()


def test_every_page_has_one_place_in_the_navigation():
    settings = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    named, there = leaves(settings["nav"]), [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")]
    missing = sorted(set(there) - set(named))
    assert (missing, sorted(named)) == ([], sorted(there)), "a line in zensical.toml for each page"


def leaves(nav):
    """The pages of a navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    below = nav.values() if isinstance(nav, dict) else nav
    return [page for part in below for page in leaves(part)]


@pytest.mark.parametrize(
    ("link", "issues"),
    [
        pytest.param("[here](index.md#some)", "No issues found", id="a page and an anchor that are there"),
        pytest.param("[away](nowhere.md)", "1 issue found", id="a page that is not there"),
        pytest.param("[away](index.md#nowhere)", "1 issue found", id="an anchor that is not there"),
    ],
)
def test_what_a_build_says_of_a_link(tmp_path, link, issues):
    docs = tmp_path / "some"
    docs.mkdir()
    (docs / "index.md").write_text(f"# Some\n\n{link}\n")
    into = tmp_path / "built"
    into.mkdir()
    done = built(docs, into)
    assert (issues in done.stdout + done.stderr, done.returncode == 0) == (True, issues == "No issues found")
