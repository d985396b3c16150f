"""Heads that were read once: only what the parser has read as one whole packet is known, and only as that."""

import pytest

from quota_scheduler.known_heads import Head, KnownHeads, KnownRequest

LINE = b"POST /v1/tickets HTTP/1.1\r\n"
PLAIN = b"Host: localhost\r\nContent-Length: 2"
HEADERS = ((b"host", b"localhost"), (b"content-length", b"2"))


def packet(head: bytes = PLAIN, body: bytes = b"{}", line: bytes = LINE) -> bytes:
    return line + head + b"\r\n\r\n" + body


def knowing(*more: tuple[bytes, bytes], body: bytes = b"{}", behind: bytes = b"") -> tuple[KnownHeads, bytes]:
    """Heads after the parser has read one request, with more headers and with something ``behind`` it; its packet."""
    lines = b"".join(b"\r\n%b: %b" % header for header in more)
    heads, whole = KnownHeads(), packet(PLAIN + lines, body) + behind
    heads.keep(whole, (*HEADERS, *more), body)
    return heads, whole


@pytest.mark.parametrize(
    ("line", "path"),
    [
        pytest.param(LINE, "/v1/tickets", id="the same line"),
        pytest.param(b"POST /v1/leases/l42/renew HTTP/1.1\r\n", "/v1/leases/l42/renew", id="another path"),
    ],
)
def test_a_head_that_was_read_is_known(line: bytes, path: str):
    heads, _ = knowing()
    head = Head(HEADERS, dict(HEADERS), 2)
    assert heads.read(packet(line=line, body=b"[]")) == KnownRequest(path, head, b"[]")


@pytest.mark.parametrize(
    "came",
    [
        pytest.param(packet(b"Host: localhost\r\nContent-Length: 3", b"{ }"), id="another head"),
        pytest.param(packet(PLAIN + b"\r\n"), id="a line more"),
        pytest.param(packet(body=b"{"), id="half a body"),
        pytest.param(packet(body=b"{}POST"), id="the beginning of another request behind it"),
        pytest.param(packet()[:30], id="half a head"),
        pytest.param(b"\r\n" + packet(), id="an empty line before it"),
        pytest.param(packet(line=b"GET /v1/tickets HTTP/1.1\r\n"), id="another method"),
        pytest.param(packet(line=b"POST /v1/tickets HTTP/1.0\r\n"), id="another version"),
        pytest.param(packet(line=b"POST /v1/tickets?a HTTP/1.1\r\n"), id="a query"),
        pytest.param(packet(line=b"POST /v1/%74ickets HTTP/1.1\r\n"), id="an escape"),
        pytest.param(packet(line=b"POST /v1/tickets HTTP/1.1\nA: b\r\n"), id="a header behind a bare end of line"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_anything_else_is_for_the_parser(came: bytes):
    heads, _ = knowing()
    assert heads.read(came) is None


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(knowing((b"transfer-encoding", b"chunked")), id="another way to say how long the body is"),
        pytest.param(knowing((b"host", b"elsewhere")), id="a header that stands there twice"),
        pytest.param(knowing((b"content-length", b"2")), id="a length that stands there twice"),
        pytest.param(knowing((b"connection", b"close")), id="a connection that ends with it"),
        pytest.param(knowing((b"connection", b"upgrade"), (b"upgrade", b"h2c")), id="one that becomes something else"),
        pytest.param(knowing((b"expect", b"100-continue")), id="who waits for a word before the body"),
        pytest.param(knowing((b"x", b"y" * 2000)), id="a long one"),
        pytest.param(knowing(behind=b"POST"), id="something behind the request"),
        pytest.param(knowing(body=b"{ }"), id="a body of another length"),
    ],
)
def test_what_is_odd_is_not_kept(made: tuple[KnownHeads, bytes]):
    heads, whole = made
    assert heads.read(whole) is None


def test_there_are_never_many():
    heads = KnownHeads()
    for number in range(2000):
        name = b"%d" % number
        heads.keep(packet(PLAIN + b"\r\nx: " + name), (*HEADERS, (b"x", name)), b"{}")
    assert len(heads._heads) <= 1024
    assert heads.read(packet(PLAIN + b"\r\nx: 1999"))
