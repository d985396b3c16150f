"""Licences of all that is installed for `requirements.lock`: listed, and refused where nobody has agreed to them."""

import re
import sys
from importlib import metadata
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements.lock"
AGREED = {
    *("MIT", "MIT License", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "3-Clause BSD License", "Zlib"),
    *("Apache-2.0", "Apache Software License", "PSF-2.0", "CC0-1.0", "Mozilla Public License 2.0 (MPL 2.0)"),
}
"""Licences that let the program be used, changed and handed on under its own; MPL binds changes to its own files."""
BY_FILE = {"peewee": "MIT"}
"""Packages that say it in a file alone, which somebody has read."""


def locked() -> list[str]:
    """The names in the lock file."""
    return sorted(set(re.findall(r"^([A-Za-z0-9._-]+)==", LOCK.read_text(), re.MULTILINE)))


def licence_of(name: str) -> str:
    """What a package says of itself; empty where it is not installed here, as what is for another system."""
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    classifiers = [one.split(" :: ")[-1] for one in said.get_all("Classifier") or [] if one.startswith("License ::")]
    return (
        said.get("License-Expression") or "; ".join(classifiers) or said.get("License") or BY_FILE.get(name, "unknown")
    )


def strange(licence: str) -> list[str]:
    """The parts of a licence that nobody has agreed to; of an OR one part is enough."""
    choices = [re.split(r" AND |; ", choice) for choice in licence.split(" OR ")]
    wrong = [[part for part in parts if part.strip() not in AGREED] for parts in choices]
    return min(wrong, key=len)


def main() -> int:
    """Print a line for each package; 1 where a licence is strange."""
    wrong = 0
    for name in locked():
        if licence := licence_of(name):
            parts = strange(licence)
            wrong += bool(parts)
            print(f"{name:<24} {licence}{'   NOT AGREED' if parts else ''}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
