"""The files of the page, read once: packed, tagged, and the policy under which a browser runs them."""

import gzip
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from quota_scheduler.page.bundle import bundled

STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline and no other host: text that somebody put into a label can become neither script nor request."""
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served, by the end of its name; anything else in the folder is not."""
INDEX = "index.html"
SCRIPT = "page.js"
"""All modules as one."""
TAG_DIGITS = 16
"""Hexadecimal digits of a tag: two versions of a file never share one by chance."""


class Asset(Struct, frozen=True):
    """One file: as it is, packed with gzip, what it is, and the tag that changes with its content."""

    content: bytes
    packed: bytes
    kind: str
    tag: str


@cache
def load_assets(folder: Path = STATIC) -> Mapping[str, Asset]:
    """Read every file of the page, by its name, and make one script of its modules; once, 10 ms of packing.

    The page names each file with its tag (``page.css?v=…``), so that a browser may keep it for good.
    """
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in KINDS]
    assets = {path.name: _asset(path.read_bytes(), path.suffix) for path in paths}
    modules = {path.stem: path.read_text() for path in paths if path.suffix == ".js"}
    assets[SCRIPT] = _asset(bundled(modules).encode(), ".js")
    assets[INDEX] = _asset(_with_tags(assets[INDEX].content, assets), ".html")
    return assets


def _with_tags(page: bytes, assets: Mapping[str, Asset]) -> bytes:
    for name, asset in assets.items():
        page = page.replace(f'"page/{name}"'.encode(), f'"page/{name}?v={asset.tag}"'.encode())
    return page


def _asset(content: bytes, suffix: str) -> Asset:
    tag = sha256(content).hexdigest()[:TAG_DIGITS]
    return Asset(content, gzip.compress(content, mtime=0), KINDS[suffix], tag)
