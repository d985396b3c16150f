"""Who may do what, and how often: tokens are kept as SHA-256 hashes, roles include each other.

    viewer < runner < operator          looking; also asking to run and reporting; also changing things

Without any token the service listens on loopback only and everybody there is an operator.
"""

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from quota_scheduler.config import ApiToken, RateLimit, Role
from quota_scheduler.core.scope import EVERYBODY, Scope

RANK = {Role.VIEWER: 0, Role.RUNNER: 1, Role.OPERATOR: 2}
NO_LIMIT = RateLimit()


class Tokens:
    """The configured tokens, looked up by hash."""

    def __init__(self, tokens: Sequence[ApiToken]) -> None:
        self._by_hash = {token.sha256.lower(): token for token in tokens}

    def __bool__(self) -> bool:
        return bool(self._by_hash)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens) and self._by_hash == other._by_hash

    __hash__ = None  # type: ignore[assignment]

    @property
    def names(self) -> dict[str, int]:
        """How many tokens each name has."""
        names = [token.name for token in self._by_hash.values()]
        return {name: names.count(name) for name in sorted(set(names))}

    @property
    def any_bound(self) -> bool:
        """Whether one of them is bound to labels."""
        return any(token.labels for token in self._by_hash.values())

    def find(self, authorization: str) -> ApiToken | None:
        """The token of an ``Authorization: Bearer …`` header; None for none or an unknown one.

        Hashing before the look-up makes its time say nothing about the secret; the two hashes are compared in a time
        that does not depend on where they differ.
        """
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            return None
        digest = hashlib.sha256(secret.strip().encode("utf-8", "surrogateescape")).hexdigest()
        token = self._by_hash.get(digest)
        return token if token is not None and hmac.compare_digest(token.sha256.lower(), digest) else None


def is_over(token: ApiToken, now: datetime) -> bool:
    """Whether a token has expired."""
    return token.expires is not None and token.expires <= now


def scope_of(token: ApiToken) -> Scope:
    """What a token is bound to."""
    return Scope(token.labels) if token.labels else EVERYBODY


def allows(role: Role, needed: Role) -> bool:
    """Whether a role includes another."""
    return RANK[role] >= RANK[needed]


class RateLimits:
    """A bucket for each name of a token: it fills at ``per_second`` up to ``burst``, and each request takes one out.

    A monotonic clock fills it: a clock that is set does not.
    """

    def __init__(self, rate: RateLimit = NO_LIMIT, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self._clock = rate, clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """Take one request out of a name's bucket: 0 where there was one, else in how many seconds there will be."""
        if not self.rate.per_second:
            return 0.0
        with self._lock:
            now = self._clock()
            level, at = self._buckets.get(name, (float(self.rate.burst), now))
            level = min(float(self.rate.burst), level + (now - at) * self.rate.per_second)
            enough = level >= 1.0
            self._buckets[name] = (level - 1.0 if enough else level, now)
            return 0.0 if enough else (1.0 - level) / self.rate.per_second

    def give_back(self, name: str) -> None:
        """Put one back: what was only parked cost nothing."""
        with self._lock:
            if name in self._buckets:
                level, at = self._buckets[name]
                self._buckets[name] = (min(float(self.rate.burst), level + 1.0), at)
