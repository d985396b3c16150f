"""``status`` by the shortest road: where a service answers, nothing is read but what says where it listens.

    --listen, else QUOTA_LISTEN, else ``listen:`` of the configuration file, else the default
         │ in plain words                                     │ in any others: ${HERE}, QUOTA_URL, tls, …
         ▼                                                    ▼
    GET /v1/limits ──200──► printed      else ──► the whole command line, which knows what to do and what to say

What is printed is what the service has, its time zone and receivers too: nothing is kept from one time to the next.
"""

import contextlib
import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from quota_scheduler.glance.words import NO_RECEIVER, is_any_spent, shown, state_lines
from quota_scheduler.wrapper.statuses import LIMIT_HIT

DEFAULT = "127.0.0.1:8484"
CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 30.0
OPTIONS = ("--json", "--check", "--listen")
PLAIN = frozenset({"QUOTA_LISTEN", "QUOTA_TOKEN", "QUOTA_CONFIG", "QUOTA_DATABASE", "QUOTA_LEASE", "QUOTA_TICKET"})
PLAIN |= {"QUOTA_KEY", "QUOTA_SESSION", "QUOTA_RUN_FOLDER", "QUOTA_STOP_FILE", "QUOTA_CLAUDE_SETTINGS"}
"""Variables that are looked at here, or that a service which answers has nothing to do with; any other may matter."""
_ADDRESS = re.compile(r"(?:([A-Za-z0-9_.-]+)|\[([0-9A-Fa-f:.]+)\]):(\d{1,5})")
_LISTEN = re.compile(r"^listen:[ \t]+([\"']?)([A-Za-z0-9_.:\[\]-]+)\1[ \t]*(?:#.*)?\r?$", re.MULTILINE)
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that stand for every one of this machine."""


class _LongWay(Exception):
    """Something is not in plain words, or not answered plainly."""


def glanced(arguments: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """The exit status after printing what was asked for; None where nothing was printed, and the long way is to go."""
    try:
        given = _options(arguments)
        address = _address(given, environ)
        state = {"from": f"The service at {address}", **_asked(address, environ.get("QUOTA_TOKEN", ""))}
        zone, tells_nobody = str(state["zone"]), bool(state["tells_nobody"])
        if "--check" in given:
            return LIMIT_HIT if is_any_spent(state["limits"]) else 0
        if "--json" in given:
            text = json.dumps(state, indent=2)
        else:
            text = shown("\n".join([*state_lines(state, zone), *([NO_RECEIVER] if tells_nobody else [])]))
    except (_LongWay, OSError, ValueError, LookupError, TypeError):
        return None
    with contextlib.suppress(BrokenPipeError):  # whoever reads has seen enough
        print(text, flush=True)
    return 0


def _options(arguments: Sequence[str]) -> dict[str, str]:
    """What stands on the command line, where that is no more than this verb and these options. Raises _LongWay."""
    given: dict[str, str] = {}
    words = list(arguments)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name == "--listen" and (equals or words):
            given[name] = value if equals else words.pop(0)
        elif (name == "status" or name in OPTIONS[:2]) and not equals and name not in given:
            given[name] = ""
        else:
            raise _LongWay
    return given


def _address(given: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Where the service listens, without encryption. Raises _LongWay."""
    if any(name.startswith("QUOTA_") and name not in PLAIN for name in environ):
        raise _LongWay
    of_file = _of_file(environ)
    listen = given.get("--listen") or environ.get("QUOTA_LISTEN") or of_file or DEFAULT
    if not _ADDRESS.fullmatch(listen):
        raise _LongWay
    return listen


def _of_file(environ: Mapping[str, str]) -> str:
    """What the configuration file says in plain words; empty where there is no file or it says nothing of that."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = f"{environ['HOME']}/.config"
    named = environ.get("QUOTA_CONFIG", "")
    if named.startswith("~"):
        raise _LongWay
    for path in (named,) if named else ("quota.yaml", f"{base}/quota-scheduler/quota.yaml"):
        if named or os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            break
    else:
        return ""
    said = _LISTEN.findall(text)
    if "tls" in text or text.count("listen") != len(said) or len(said) > 1:
        raise _LongWay
    return said[0][1] if said else ""


def _asked(address: str, token: str) -> dict[str, Any]:
    """The answer of the service: one request, read to its end. Raises _LongWay, OSError or ValueError."""
    parts = _ADDRESS.fullmatch(address)
    assert parts is not None  # _address has looked
    host, port = parts[1] or parts[2], int(parts[3])
    host = ANY.get(host, host)
    if not (token.isascii() and token.isprintable()):
        raise _LongWay
    lines = [
        "GET /v1/limits HTTP/1.1",
        f"Host: {f'[{host}]' if ':' in host else host}:{port}",
        "Connection: close",
        "Accept: application/json",
    ]
    lines += [f"Authorization: Bearer {token}"] if token else []
    with socket.create_connection((host, port), timeout=CONNECT_SECONDS) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        with connection.makefile("rb") as answer:
            status, headers = answer.readline(1024), _headers(answer)
            if not status.startswith(b"HTTP/1.1 200 ") or "transfer-encoding" in headers:
                raise _LongWay
            content = json.loads(answer.read(int(headers["content-length"])))
    if not isinstance(content, dict):
        raise _LongWay
    return content


def _headers(answer: Any) -> dict[str, str]:
    """The headers of an answer, by name in lower case."""
    headers: dict[str, str] = {}
    while line := answer.readline(65536).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return headers
