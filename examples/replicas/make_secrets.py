"""Make the secrets of a first start: the operator's token, its hash for the service, and the database's password.

    make_secrets.py DIRECTORY

Runs as root, once before the others: each file belongs to who reads it. What is there already is left as it is; a
password that the database knows cannot be made anew here.
"""

import hashlib
import os
import secrets
import sys
from pathlib import Path

SCHEDULER = 10001
"""The user of the service's image."""


def main(directory: Path) -> None:
    """Write ``token``, ``tokens``, ``database-password`` and ``pgpass`` into ``directory``."""
    directory.chmod(0o755)
    if not (directory / "tokens").exists():
        token = secrets.token_urlsafe(32)
        write(directory / "token", token + "\n", SCHEDULER)
        write(directory / "tokens", f"operator:first:{hashlib.sha256(token.encode()).hexdigest()}\n", SCHEDULER)
    if not (directory / "pgpass").exists():
        password = secrets.token_urlsafe(32)
        # The images of PostgreSQL have users of different numbers: this one is for everybody who has the volume.
        write(directory / "database-password", password + "\n", os.getuid(), 0o444)
        write(directory / "pgpass", f"*:*:*:*:{password}\n", SCHEDULER)
    print(f"The operator's token is in {directory / 'token'}")


def write(path: Path, text: str, owner: int, mode: int = 0o400) -> None:
    """Write a file whole or not at all, readable by ``owner``."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.chmod(mode)
    os.chown(part, owner, -1)
    part.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
