"""Who may use the service, how often, and over which door: tokens, their rate, certificates, trusted proxies.

A tokens file has one token a line, ``role:name:sha256``, behind it the labels that it is bound to (``team=growth``) and
when it ends (``expires=2027-01-31T00:00:00Z``). Empty lines and lines that start with ``#`` do not count.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime
from functools import partial
from pathlib import Path

from quota_scheduler.config import places
from quota_scheduler.config.fields import Fields
from quota_scheduler.config.nodes import Problems
from quota_scheduler.config.scalars import not_among, number, one_of, slug, text, token_hash, whole, yes_or_no
from quota_scheduler.config.tree import ApiToken, RateLimit, Role, Tls
from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.labels import LONGEST_VALUE
from quota_scheduler.core.scope import BINDABLE

LARGEST_FILE = 1 << 20
LINE = "write role:name:sha256, and behind it label=value and expires=INSTANT where you need them"
MOST_PER_SECOND = 100_000
WITHOUT_TOKENS = "needs `tokens` or a `tokens_file`; add one or remove it"


def read_tokens(top: Fields, home: Path) -> tuple[tuple[ApiToken, ...], Path | None]:
    """All tokens, hashes unique and names too but for a rotation, and the file that some came from."""
    tokens: list[ApiToken] = []
    for one in top.each("tokens"):
        with one:
            with one.section("labels") as labels:
                bound = [(name, value) for name in BINDABLE if (value := labels.read(name, _label, ""))]
            token = ApiToken(
                name=one.require("name", slug, "", "name who uses it, as in `name: ci`"),
                role=one.require("role", one_of(Role), Role.VIEWER, "write viewer, runner or operator"),
                sha256=one.require("sha256", token_hash, "", "write `printf %s TOKEN | sha256sum`", secret=True),
                labels=tuple(sorted(bound)),
                expires=one.read("expires", instant, None),
            )
            if problem := _problem(token, tokens):
                one.complain("name", problem)
            tokens.append(token)
    folder = top.folder("tokens_file")
    path = top.read("tokens_file", lambda value: places.resolved(text(value), folder, home), None)
    if path is not None:
        for token, line in _lines(path, top):
            if problem := _problem(token, tokens):
                top.problems.say(f"{path}:{line}: {problem}")
            tokens.append(token)
    return tuple(tokens), path


def _problem(token: ApiToken, earlier: list[ApiToken]) -> str:
    """What is wrong with a token beside those before it; two of one name are one that is being exchanged."""
    if token.labels and token.role is Role.OPERATOR:
        return (
            f"{token.name!r} is an operator's and bound to labels: what operators change is everybody's; bind runners"
        )
    twin = next((one.name for one in earlier if token.sha256 and one.sha256 == token.sha256), None)
    if twin is not None:
        return f"{token.name!r} is the same token as {twin!r}: give each its own"
    same = [one for one in earlier if token.name and one.name == token.name]
    if not same:
        return ""
    if any((one.role, one.labels) != (token.role, token.labels) for one in same):
        return f"{token.name!r} is the name of an earlier token of another role or other labels: give each its own"
    lasting = [one for one in (*same, token) if one.expires is None]
    if len(lasting) > 1:
        return f"{token.name!r} is the name of an earlier token: give the old one of the two an `expires`"
    return ""


def _label(value: str) -> str:
    if len(value) > LONGEST_VALUE:
        raise ValueError(f"{value!r} is too long: a label has {LONGEST_VALUE} characters at most")
    return text(value)


def instant(value: str) -> datetime:
    """An instant with its zone. Raises ValueError."""
    try:
        return parse_instant(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is no instant: write one such as 2027-01-31T00:00:00Z") from None


def _lines(path: Path, top: Fields) -> list[tuple[ApiToken, int]]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE).decode()
    except OSError as error:
        top.complain("tokens_file", f"{path} cannot be read: {error.strerror}; name another file or remove the key")
        return []
    except UnicodeDecodeError:
        top.complain("tokens_file", f"{path} is not text: write one role:name:sha256 a line")
        return []
    rows = [(line.strip(), number) for number, line in enumerate(content.splitlines(), 1)]
    parse = partial(_token, path=path, problems=top.problems)
    tokens = [(parse(row, number), number) for row, number in rows if row and not row.startswith("#")]
    return [(token, number) for token, number in tokens if token is not None]


def _token(row: str, number: int, *, path: Path, problems: Problems) -> ApiToken | None:
    try:
        return token_in(row)
    except ValueError as error:
        problems.say(f"{path}:{number}: {error}")
        return None


def token_in(row: str) -> ApiToken:
    """A token from its line. Raises ValueError with a sentence that does not repeat it."""
    first, *words = row.split()
    parts = [part.strip() for part in first.split(":")]
    if len(parts) != 3:
        raise ValueError(f"*** is not a token: {LINE}")
    labels, expires = _words(words)
    token = ApiToken(slug(parts[1]), one_of(Role)(parts[0]), token_hash(parts[2]), labels, expires)
    if problem := _problem(token, []):
        raise ValueError(problem)
    return token


def _words(words: list[str]) -> tuple[tuple[tuple[str, str], ...], datetime | None]:
    """The labels and the end of a token, from the words behind it. Raises ValueError."""
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{name[:40]!r} says nothing: {LINE}")
        if name not in (*BINDABLE, "expires"):
            raise ValueError(not_among(name, (*BINDABLE, "expires")))
        if name in given:
            raise ValueError(f"{name} stands there twice: write one")
        given[name] = _label(value)
    expires = instant(given.pop("expires")) if "expires" in given else None
    return tuple(sorted(given.items())), expires


def line_of(token: ApiToken) -> str:
    """A token as a line of a tokens file."""
    words = [*(f"{name}={value}" for name, value in token.labels)]
    words += [f"expires={token.expires.isoformat().replace('+00:00', 'Z')}"] if token.expires else []
    return " ".join([f"{token.role.value}:{token.name}:{token.sha256}", *words])


def read_metrics_auth(top: Fields, tokens: tuple[ApiToken, ...]) -> bool:
    """Whether ``/metrics`` needs a token: it names every team, so it must where one token is bound to some."""
    given = top.read("metrics_auth", yes_or_no, False)
    if given and not _may_have_tokens(top):
        top.complain("metrics_auth", f"{WITHOUT_TOKENS}: everybody on this machine sees all that there is")
    bound = next((token.name for token in tokens if token.labels), None)
    if bound is not None and not given:
        top.complain(
            "metrics_auth",
            f"must be true: the token {bound!r} is bound to labels, and /metrics names those of everybody",
        )
    return given


def _may_have_tokens(top: Fields) -> bool:
    """Whether there are tokens, or a file that may be given some."""
    return top.has("tokens") or top.has("tokens_file")


def read_rate_limit(top: Fields) -> RateLimit:
    """How often one token may ask."""
    with top.section("rate_limit") as rate:
        per_second = rate.read("per_second", _per_second, RateLimit().per_second)
        limit = RateLimit(per_second, rate.read("burst", whole(1, MOST_PER_SECOND), RateLimit().burst))
        if limit.per_second and not _may_have_tokens(top):
            rate.complain("per_second", f"{WITHOUT_TOKENS}: it is how often one token may ask")
        if limit.burst != RateLimit().burst and not rate.has("per_second"):
            rate.complain("burst", "needs the rate above which it is: add `per_second: 5`, or remove it")
        return limit


def _per_second(value: str) -> float:
    rate = number(value)
    if rate > MOST_PER_SECOND:
        raise ValueError(f"{value!r} is more than {MOST_PER_SECOND} a second: leave it out for no limit")
    return rate


def read_tls(top: Fields, home: Path) -> Tls | None:
    """The certificate to serve with, None for plain HTTP."""
    if not top.has("tls"):
        top.section("tls")
        return None
    with top.section("tls") as tls:
        here = tls.folder("certificate")
        nowhere = Path()

        def file(value: str) -> Path:
            return places.resolved(text(value), here, home)

        certificate = tls.require("certificate", file, nowhere, "name the file of the certificate and its chain (PEM)")
        key = tls.require("key", file, nowhere, "name the file of its private key (PEM, without a passphrase)")
        return Tls(certificate, key)


def read_proxies(top: Fields) -> tuple[str, ...]:
    """Addresses and networks of proxies whose word about the client is believed."""
    return top.several("trusted_proxies", _network)


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value.strip(), strict=False))
    except ValueError:
        raise ValueError(f"{value!r} is no address or network: write one such as 127.0.0.1 or 10.0.0.0/8") from None
