"""Tokens of the tests, and how a configuration knows them."""

from hashlib import sha256

OPERATOR, VIEWER = "operator-secret", "viewer-secret"


def _token(name: str, role: str, secret: str) -> str:
    return f"  - {{name: {name}, role: {role}, sha256: {sha256(secret.encode()).hexdigest()}}}\n"


TOKENS = "tokens:\n" + _token("ana", "operator", OPERATOR) + _token("vic", "viewer", VIEWER)
