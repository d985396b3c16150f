"""Tokens of the tests, and how a configuration knows them."""

from hashlib import sha256

from quota_scheduler.config import ApiToken, Role

OPERATOR, VIEWER = "operator-secret", "viewer-secret"
ANA = ApiToken("ana", Role.OPERATOR, sha256(OPERATOR.encode()).hexdigest())
VIC = ApiToken("vic", Role.VIEWER, sha256(VIEWER.encode()).hexdigest())
TOKENS = "tokens:\n" + "".join(
    f"  - {{name: {one.name}, role: {one.role}, sha256: {one.sha256}}}\n" for one in (ANA, VIC)
)
