"""Exposition: the snapshot encoded once, the live part when scraped, joined into one body.

    snapshot   10,000 series, cached for the tick ────┐
    decisions  3 a limit, cached until the next one ──┼─► text 0.0.4 | OpenMetrics 1.0 (one # EOF), plain | gzip
    other live some hundred, encoded now ─────────────┘

How anything looks in a format prometheus_client decides alone (metrics/lines.py keeps what it wrote). Cached parts are
kept as flushed deflate streams too, to which that of the live part is appended: one gzip member, which every client
reads, for the price of the live part.
"""

import zlib
from collections.abc import Iterable, Sequence
from enum import Enum
from struct import pack
from threading import Lock
from typing import Protocol

from msgspec import Struct
from prometheus_client import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.exposition import generate_latest as encode_text
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE_OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics

EOF = b"# EOF\n"
GZIP_LEVEL = 1
"""The fastest: a scrape is read once, by a machine nearby (level 6 takes three times as long for a tenth less)."""
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class Format(Enum):
    """What can be asked for. The value is the content type."""

    TEXT = CONTENT_TYPE_PLAIN_0_0_4
    OPENMETRICS = CONTENT_TYPE_OPENMETRICS


class MetricFamilies(Struct, frozen=True):
    """Metric families as the encoders want them."""

    families: tuple[Metric, ...]

    def collect(self) -> Iterable[Metric]:
        """The families."""
        return self.families

    def encoded(self, form: Format) -> bytes:
        """All of them in one format, without the end mark."""
        return encode(self, form)


class Encoded(Protocol):
    """What a page is made of."""

    def collect(self) -> Iterable[Metric]:
        """The families as the client library has them."""
        ...

    def encoded(self, form: Format) -> bytes:
        """All families in one format, without the end mark."""
        ...


def encode(families: MetricFamilies, form: Format) -> bytes:
    """Encode without the end mark, so that parts can be joined."""
    if form is Format.TEXT:
        return encode_text(families)
    body: bytes = encode_openmetrics(families)  # type: ignore[no-untyped-call]
    return body.removesuffix(EOF)


class Part(Struct, frozen=True):
    """An encoded piece of the body: plain, and as a deflate stream that ends on a byte, with its checksum."""

    plain: bytes
    deflated: bytes
    checksum: int

    @classmethod
    def of(cls, plain: bytes) -> "Part":
        """Compress a body to which more will be appended."""
        stream = _deflate()
        deflated = stream.compress(plain) + stream.flush(zlib.Z_FULL_FLUSH)
        return cls(plain, deflated, zlib.crc32(plain))


def joined(parts: Sequence[Part], live: bytes) -> bytes:
    """The whole body, plain."""
    return b"".join((*(part.plain for part in parts), live))


def gzipped(parts: Sequence[Part], live: bytes) -> bytes:
    """The whole body as one gzip member (RFC 1952); nothing of the parts is compressed again."""
    stream = _deflate()
    end = stream.compress(live) + stream.flush()
    checksum = parts[0].checksum
    for text in (*(part.plain for part in parts[1:]), live):
        checksum = zlib.crc32(text, checksum)
    size = sum(len(part.plain) for part in parts) + len(live)
    return b"".join((_GZIP_HEADER, *(p.deflated for p in parts), end, pack("<II", checksum, size & 0xFFFFFFFF)))


def _deflate() -> "zlib._Compress":
    return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)


class Page:
    """Families that do not change any more, and their encodings; each is made at most once, when first needed."""

    def __init__(self, families: Encoded) -> None:
        self.families = families
        self._parts: dict[Format, Part] = {}
        self._lock = Lock()

    def part(self, form: Format) -> Part:
        """The families in one format."""
        with self._lock:
            if form not in self._parts:
                self._parts[form] = Part.of(self.families.encoded(form))
            return self._parts[form]


class Published:
    """The collector over the last published page; a registry asks it, and the exposition takes it whole."""

    def __init__(self) -> None:
        self.page = Page(MetricFamilies(()))

    def describe(self) -> list[Metric]:
        """Nothing: what is exposed follows from the readings."""
        return []

    def collect(self) -> Iterable[Metric]:
        """The families of one page, never of two."""
        return self.page.families.collect()


def format_for(accept: str) -> Format:
    """What an ``Accept`` header asks for: OpenMetrics when it is preferred or named first, else text."""
    best, form = 0.0, Format.TEXT
    for media, quality in _preferences(accept):
        if media in _MEDIA and quality > best:
            best, form = quality, _MEDIA[media]
    return form


_MEDIA = {"application/openmetrics-text": Format.OPENMETRICS, "text/plain": Format.TEXT, "*/*": Format.TEXT}


def wants_gzip(accept_encoding: str) -> bool:
    """Whether an ``Accept-Encoding`` header allows gzip."""
    qualities = dict(_preferences(accept_encoding))
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _preferences(header: str) -> Iterable[tuple[str, float]]:
    for item in header.split(","):
        name, *params = (part.strip().lower() for part in item.split(";"))
        yield name, next((_quality(p[2:]) for p in params if p.startswith("q=")), 1.0)


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
