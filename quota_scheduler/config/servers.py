"""The URL of a database on a server: every word of it is looked at before anybody connects.

Which words there are, and what they may say, is libpq's affair (PostgreSQL 18, "Parameter Key Words"); a test compares
this table with the libpq that is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

from quota_scheduler.config.scalars import did_you_mean, not_among

SERVER = "postgresql://user:password@host:5432/quota"
"""What the URL of a database on a server looks like."""
CHOICES: Mapping[str, tuple[str, ...]] = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "sslcertmode": ("disable", "allow", "require"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "load_balance_hosts": ("disable", "random"),
    "ssl_min_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_max_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "min_protocol_version": ("3.0", "3.2", "latest"),
    "max_protocol_version": ("3.0", "3.2", "latest"),
    "ssl": ("true",),  # as drivers of Java write sslmode=require
}
"""Words that say one of a few things."""
NUMBERS = (
    "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
)  # fmt: skip
AUTHENTICATION = ("password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none")
"""Ways to say who one is, of which ``require_auth`` names some."""
OTHERS = (
    "application_name", "client_encoding", "dbname", "fallback_application_name", "gssdelegation", "gsslib", "host",
    "hostaddr", "krbsrvname", "oauth_client_id", "oauth_client_secret", "oauth_issuer", "oauth_scope", "options",
    "passfile", "password", "port", "replication", "require_auth", "requirepeer", "scram_client_key",
    "scram_server_key", "service", "sslcert", "sslcompression", "sslcrl", "sslcrldir", "sslkey", "sslkeylogfile",
    "sslpassword", "sslrootcert", "sslsni", "user",
)  # fmt: skip
"""Words that may say anything, or are looked at by themselves."""
WORDS = (*CHOICES, *NUMBERS, *OTHERS)


def server(url: str) -> str:
    """The URL of a database on a server. Raises ValueError with what is wrong in it, never with what is secret."""
    parts = urlsplit(url)
    try:
        names_a_port = parts.port is None or parts.port > 0
    except ValueError:
        names_a_port = "," in parts.netloc  # several hosts
    if not names_a_port:
        raise ValueError(f"the port is no number from 1 to 65535: write {SERVER}")
    if not parts.path.strip("/") and "dbname=" not in parts.query:
        raise ValueError(f"the URL names no database: write {SERVER}")
    for word, value in parse_qsl(parts.query, keep_blank_values=True):
        _check(word, value)
    return url


def _check(word: str, value: str) -> None:
    if word not in WORDS:
        meant = did_you_mean(word, WORDS)  # only a word that is nearly one is repeated: it may be a piece of a password
        if meant:
            raise ValueError(f"the URL says {word!r}, which is no word of PostgreSQL's{meant}")
        raise ValueError(
            "behind its ? the URL says what is no word of PostgreSQL's: remove it, or write ? and & of a password as "
            "%3F and %26"
        )
    problem = _PARTICULAR.get(word, _anything)(value)
    if word in CHOICES and value not in CHOICES[word]:
        problem = not_among(value[:40], CHOICES[word])
    if word in NUMBERS and not value.strip().removeprefix("-").isdecimal():
        problem = f"{value[:40]!r} is no whole number: write one such as 10"
    if problem:
        raise ValueError(f"{word} of the URL: {problem}")


def _anything(value: str) -> str:
    del value
    return ""


def _ports(value: str) -> str:
    """One port, or one for each of several hosts; an empty one is 5432."""
    ports = [port.strip() for port in value.split(",")]
    is_right = all(port == "" or (port.isdecimal() and 0 < int(port[:6]) < 65536) for port in ports)
    return "" if is_right else f"{value[:40]!r} is no number from 1 to 65535: write one such as 5432"


def _authentication(value: str) -> str:
    """Ways that a server may ask for, or with ! may not."""
    ways = [way.strip().removeprefix("!") for way in value.split(",")]
    wrong = next((way for way in ways if way not in AUTHENTICATION), None)
    return "" if wrong is None else not_among(wrong[:40], AUTHENTICATION)


_PARTICULAR: Mapping[str, Callable[[str], str]] = {"port": _ports, "require_auth": _authentication}
