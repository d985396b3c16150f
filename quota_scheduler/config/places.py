"""Where things lie: the configuration file, the database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from quota_scheduler.addresses import without_password
from quota_scheduler.config.servers import SERVER, server

PROGRAM = "quota-scheduler"
FILE = "quota.yaml"
DATABASE = "quota.db"
NEIGHBOURS = ("CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "CODEX_HOME", "PI_CODING_AGENT_DIR")
"""Variables by which usage sources find transcripts when no folder is configured."""


def home(environ: Mapping[str, str]) -> Path:
    """The user's folder; the root for a user without one, as containers may have."""
    if named := environ.get("HOME"):
        return Path(named)
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def find_file(environ: Mapping[str, str], folder: Path) -> Path | None:
    """The file when none is named: ``quota.yaml`` in ``folder``, else the user's own, else none."""
    users = _xdg(environ, "XDG_CONFIG_HOME", ".config") / PROGRAM / FILE
    return next((path for path in (folder / FILE, users) if path.is_file()), None)


def default_database(environ: Mapping[str, str]) -> Path:
    """``$XDG_STATE_HOME/quota-scheduler/quota.db``."""
    return _xdg(environ, "XDG_STATE_HOME", ".local/state") / PROGRAM / DATABASE


def neighbours(environ: Mapping[str, str]) -> dict[str, str]:
    """What the variables of other programs say about where they keep their files."""
    return {name: environ[name] for name in NEIGHBOURS if environ.get(name)}


def database(folder: Path, home: Path, address: str) -> Path | str:
    """A file (``sqlite:///beside.db``, ``sqlite:////absolute.db`` or a plain path), or the URL of a server."""
    scheme, separator, _ = address.partition("://")
    if not separator:
        if not address.strip() or address.startswith("sqlite:"):
            raise ValueError(f"{address!r} names no file: write sqlite:///quota.db or sqlite:////absolute/quota.db")
        return resolved(address, folder, home)
    if scheme in ("postgresql", "postgres"):
        return server(address)
    if scheme != "sqlite":
        raise ValueError(f"there are no {scheme} databases here: write sqlite:///quota.db or {SERVER}")
    parts = urlsplit(address)
    if parts.netloc or not parts.path.strip("/"):
        raise ValueError(f"{address!r} names no file: write sqlite:///quota.db or sqlite:////absolute/quota.db")
    return folder / unquote(parts.path[1:])


def shown(database: Path | str) -> str:
    """A database as people may see it: a URL without its password."""
    return str(database) if isinstance(database, Path) else without_password(database)


def resolved(written: str, folder: Path, home: Path) -> Path:
    """An absolute path: ``~`` is ``home``, relative ones start at ``folder``."""
    if written == "~" or written.startswith("~/"):
        return home / written[2:]
    return folder / written


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    named = Path(environ.get(variable, ""))
    return named if named.is_absolute() else home(environ) / default
