"""Addresses of servers as people may see them."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

SECRETS = ("password", "passfile", "sslpassword")
"""Parameters of a connection that are nobody's business (libpq's names)."""


def without_password(url: str) -> str:
    """A URL without its password, wherever in it that stands."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name not in SECRETS])
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{at}{place}", query=query))


def hidden(text: str, url: str) -> str:
    """What somebody says about a URL, who may quote it, without its secrets."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    secrets = [user.partition(":")[2]] if at else []
    secrets += [value for name, _, value in (pair.partition("=") for pair in parts.query.split("&")) if name in SECRETS]
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    return text
