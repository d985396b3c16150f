"""Make the token of a first start: the token in one file for its operator, its SHA-256 in another for the service.

    make_token.py DIRECTORY

Nothing happens where both files are there; delete them and run this again for a new token.
"""

import hashlib
import os
import secrets
import sys
from pathlib import Path


def main(directory: Path) -> None:
    """Write ``token`` and ``tokens`` into ``directory``, readable by their owner alone."""
    os.umask(0o077)
    plain, hashed = directory / "token", directory / "tokens"
    if not (plain.exists() and hashed.exists()):
        token = secrets.token_urlsafe(32)
        hashed.write_text(f"operator:first:{hashlib.sha256(token.encode()).hexdigest()}\n")
        plain.write_text(token + "\n")
    print(f"The operator's token is in {plain}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
