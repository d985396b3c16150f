"""Where the service is, found without reading a whole configuration, and one request to it that cannot hang.

    --listen, QUOTA_LISTEN, `listen:` of QUOTA_CONFIG or of the user's own quota.yaml, else 127.0.0.1:8484

A quota.yaml in the working folder is not asked: an agent works in other people's folders, and what it is told there
must not choose who gets the token.
"""

import http.client
import json
import os
import re
from collections.abc import Mapping
from typing import Any

DEFAULT = "127.0.0.1:8484"
ANSWER_SECONDS = 2.0
_LISTEN = re.compile(rb"^listen:[ \t]*[\"']?([A-Za-z0-9.:\[\]-]+)[\"']?[ \t]*(?:#.*)?\r?$", re.MULTILINE)
_TLS = re.compile(rb"^tls:", re.MULTILINE)
"""At the top of the file: the service speaks HTTPS."""
LONGEST_FILE = 1 << 20
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Addresses that stand for every one of this machine."""


class ServiceAddress:
    """The service as one of these verbs reaches it."""

    def __init__(self, listen: str, environ: Mapping[str, str]) -> None:
        self.host, self.port = _parts(listen or environ.get("QUOTA_LISTEN", "") or _of_file(environ) or DEFAULT)
        self.secure = _TLS.search(_file(environ)) is not None
        self._token = environ.get("QUOTA_TOKEN", "")

    def post(self, path: str, body: Any) -> dict[str, Any] | None:
        """Its answer; None where nothing answers in time, or refuses for a reason that may pass.

        What it says can never be taken is answered, too: it must not be sent again and again.
        """
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_SECONDS)
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            content = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
        final = answer.status < 400 or answer.status in (400, 413, 415, 422)
        return content if final and isinstance(content, dict) else None


def _parts(listen: str) -> tuple[str, int]:
    host, _, port = listen.removeprefix("http://").rstrip("/").rpartition(":")
    host = host.strip("[]")
    return ANY.get(host, host), int(port) if port.isdigit() else 8484


def _of_file(environ: Mapping[str, str]) -> str:
    """What ``listen`` says at the top of the user's own file; empty where it says nothing that simple."""
    found = _LISTEN.search(_file(environ))
    return found[1].decode() if found else ""


def _file(environ: Mapping[str, str]) -> bytes:
    """The beginning of the user's own file; empty where there is none."""
    base = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", "/"), ".config")
    path = environ.get("QUOTA_CONFIG") or os.path.join(base, "quota-scheduler", "quota.yaml")
    try:
        with open(path, "rb") as file:
            return file.read(LONGEST_FILE)
    except OSError:
        return b""
