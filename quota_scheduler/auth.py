"""Who may do what: tokens are kept as SHA-256 hashes, roles include each other.

    viewer < runner < operator          looking; also asking to run and reporting; also changing things

Without any token the service listens on loopback only and everybody there is an operator.
"""

import hashlib
from collections.abc import Sequence

from quota_scheduler.config import ApiToken, Role

RANK = {Role.VIEWER: 0, Role.RUNNER: 1, Role.OPERATOR: 2}


class Tokens:
    """The configured tokens, looked up by hash."""

    def __init__(self, tokens: Sequence[ApiToken]) -> None:
        self._by_hash = {token.sha256.lower(): token for token in tokens}

    def __bool__(self) -> bool:
        return bool(self._by_hash)

    def find(self, authorization: str) -> ApiToken | None:
        """The token of an ``Authorization: Bearer …`` header; None for none or an unknown one.

        Hashing before the look-up makes its time say nothing about the secret.
        """
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            return None
        return self._by_hash.get(hashlib.sha256(secret.strip().encode()).hexdigest())


def allows(role: Role, needed: Role) -> bool:
    """Whether a role includes another."""
    return RANK[role] >= RANK[needed]
