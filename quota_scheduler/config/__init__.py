"""Configuration: ``load`` reads the file, the environment and the options into one frozen, fully checked ``Config``.

    defaults  <  file  <  QUOTA_… variables  <  command line

This is the only place that looks at the environment, and it does so through the mapping it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec.structs import replace

from quota_scheduler.config import places
from quota_scheduler.config.environment import chosen_amounts, overlay
from quota_scheduler.config.nodes import Branch, Layer, Origin, Problems, Scalar
from quota_scheduler.config.sections import Surroundings, read_config
from quota_scheduler.config.starter import starter_yaml
from quota_scheduler.config.tree import (
    AgentSource,
    ApiToken,
    Config,
    Listen,
    LogFormat,
    Models,
    RateLimit,
    Receiver,
    Role,
    Sources,
    Tls,
)
from quota_scheduler.errors import ConfigError

__all__ = [
    "ApiToken",
    "AgentSource",
    "Config",
    "Listen",
    "LogFormat",
    "Models",
    "RateLimit",
    "Receiver",
    "Role",
    "Sources",
    "Tls",
    "default_config",
    "is_blank",
    "load",
    "starter_yaml",
]

NOTHING: Mapping[str, str] = MappingProxyType({})


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str] = NOTHING) -> Config:
    """Read the whole configuration.

    ``path`` is the file the command line names; without one ``QUOTA_CONFIG``, else ``./quota.yaml``, else
    ``$XDG_CONFIG_HOME/quota-scheduler/quota.yaml``, else none: nothing is required. ``overrides`` are options of the
    command line by dotted key, such as ``{"listen": "127.0.0.1:0"}``.

    Raises ConfigError with every problem at once.
    """
    here = Path.cwd()
    problems = Problems()
    file = _file(path, environ, here)
    if file is None:
        root = Branch(Origin(Layer.FILE, "defaults", here), "", 0, {})
    else:
        root = _read(file, environ, here, problems)
    over = overlay(root, environ, overrides, here, problems)
    chosen = chosen_amounts(environ, here)
    config = read_config(root, _surroundings(environ, chosen), problems, set())
    if problems:
        raise ConfigError(problems.sentences())
    over += [node.origin.name for node in chosen.values()]
    return replace(config, file=file, origin=", ".join([str(file or "defaults"), *over]))


def default_config(environ: Mapping[str, str] = NOTHING) -> Config:
    """What holds when nothing is configured; ``environ`` says only where the user's folders are."""
    root = Branch(Origin(Layer.FILE, "defaults", Path.cwd()), "", 0, {})
    config = read_config(root, _surroundings(environ, {}), Problems(), set())
    return replace(config, origin="defaults")


def is_blank(file: Path) -> bool:
    """Whether a configuration file says nothing: no line but comments."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    return all(not line.strip() or line.lstrip().startswith("#") for line in lines)


def _surroundings(environ: Mapping[str, str], chosen: Mapping[str, Scalar]) -> Surroundings:
    return Surroundings(places.home(environ), places.default_database(environ), places.neighbours(environ), chosen)


def _file(path: Path | None, environ: Mapping[str, str], here: Path) -> Path | None:
    named = path or (Path(environ["QUOTA_CONFIG"]) if environ.get("QUOTA_CONFIG") else None)
    if named is None:
        return places.find_file(environ, here)
    return places.resolved(str(named), here, places.home(environ))


def _read(file: Path, environ: Mapping[str, str], here: Path, problems: Problems) -> Branch:
    from quota_scheduler.config.yaml_file import read_file

    name = str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
    return read_file(file, name, environ, problems)
