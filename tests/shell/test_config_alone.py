"""What has no effect alone is told, what is only switched off is left alone, and each word of a DSN is looked at."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import pq

from quota_scheduler.config import load
from quota_scheduler.config.servers import AUTHENTICATION, CHOICES, NUMBERS, WORDS, server
from quota_scheduler.errors import ConfigError

TOKENS = f"tokens: [{{name: a, role: viewer, sha256: {'ab' * 32}}}]\n"
NOWHERE = "postgresql://u@127.0.0.1:1/d"


def problems(folder: Path, text: str) -> list[str]:
    """What is wrong with a file of this text."""
    (folder / "quota.yaml").write_text(text)
    try:
        load(folder / "quota.yaml", {"HOME": str(folder)})
    except ConfigError as error:
        return [problem.removeprefix(str(folder / "quota.yaml")) for problem in error.problems]
    return []


def limit(more: str) -> str:
    return f"limits: [{{id: a, amount: 5, window: day, {more}}}]"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "traces: {share: 10%}",
            "traces.share: needs a collector: add `endpoint: http://localhost:4318`, or remove it",
            id="a share of traces that go nowhere",
        ),
        pytest.param("github: {url: 'https://ghe/api/v3'}", "github.url: needs who writes: add", id="GitHub's address"),
        pytest.param("github: {login: bot}", "github.login: needs who writes: add", id="a login of nobody"),
        pytest.param("metrics_auth: true", "metrics_auth: needs `tokens` or a `tokens_file`", id="metrics for tokens"),
        pytest.param(
            "rate_limit: {per_second: 5}", "rate_limit.per_second: needs `tokens` or a `tokens_file`", id="a rate"
        ),
        pytest.param(f"{TOKENS}rate_limit: {{burst: 5}}", "rate_limit.burst: needs the rate", id="a burst of no rate"),
        pytest.param(
            "bills: [{provider: openai, key: k, api: usage_report}]",
            "bills[0].api: is about reports of Anthropic, not of openai",
            id="another provider's reports",
        ),
        pytest.param("tls: {certificate: c.pem}", "tls.key: is missing", id="a certificate without its key"),
        pytest.param(limit("max_instances: 5"), "limits[0].max_instances: needs one instance per", id="instances"),
        pytest.param(limit("overrides: {x: 5}"), "limits[0].overrides: needs one instance per label", id="overrides"),
        pytest.param(limit("values: [x]"), "limits[0].values: needs one instance per label", id="values of no label"),
        pytest.param(
            limit("warn_at: {x: 50%}"), "limits[0].warn_at: by value needs one instance", id="a warning by value"
        ),
        pytest.param(limit("borrow: 1"), "limits[0].borrow: needs the pool it is about", id="a loan from nobody"),
        pytest.param(limit("lend: 1"), "limits[0].lend: needs the pool it is about", id="a loan to nobody"),
        pytest.param(
            "limits: [{id: a, amount: 5, unit: usd, window: day, weights: uncached}]",
            "limits[0].weights: count tokens, but the unit is usd",
            id="weights of dollars",
        ),
    ],
)
def test_what_has_no_effect_alone_is_one_sentence(tmp_path: Path, text: str, problem: str) -> None:
    (said,) = problems(tmp_path, text)
    assert said.partition(": ")[2].startswith(problem), said


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("traces: {share: 10%, endpoint: 'http://otel:4318'}", id="a share of what a collector is sent"),
        pytest.param(
            "tokens_file: tokens\nmetrics_auth: true\nrate_limit: {per_second: 5, burst: 2}", id="tokens to come"
        ),
        pytest.param("rate_limit: {per_second: 0, burst: 20}", id="what holds without it, written out"),
        pytest.param("spool: {file: s.db, bytes: 0}", id="a spool that is switched off"),
        pytest.param(
            "leader_ttl: 9\ndatabase_patience: 9\nspool: {bytes: 5}", id="what another --database makes use of"
        ),
        pytest.param("sources: {codex: {enabled: false, account: a, roots: [x]}}", id="a source that is switched off"),
        pytest.param("alerts: {rules: {a: {enabled: false, threshold: 3}}}", id="a rule that is switched off"),
        pytest.param(
            limit("mode: warn, at_limit: block, policy: fixed-thresholds"), id="a limit that only warns for now"
        ),
        pytest.param(limit("max_instances: 5, per: team"), id="instances of a label"),
    ],
)
def test_what_is_switched_off_or_written_out_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokens").touch()
    assert problems(tmp_path, text) == []


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        pytest.param(
            "sslmode=wrong", "sslmode of the URL: 'wrong' is not known: it can be disable, allow,", id="no mode"
        ),
        pytest.param("sslmode=", "sslmode of the URL: '' is not known", id="no value"),
        pytest.param(
            "sslmod=require", "'sslmod', which is no word of PostgreSQL's: did you mean `sslmode`?", id="a typo"
        ),
        pytest.param("connect_timeout=soon", "connect_timeout of the URL: 'soon' is no whole number", id="no number"),
        pytest.param("port=abc", "port of the URL: 'abc' is no number from 1 to 65535", id="no port"),
        pytest.param("require_auth=md5,scram", "require_auth of the URL: 'scram' is not known", id="no way to ask"),
        pytest.param("password=hush&shush", "behind its ? the URL says what is no word", id="a piece of a password"),
    ],
)
def test_a_word_of_the_url_that_is_none_is_one_sentence(tmp_path: Path, query: str, problem: str) -> None:
    (said,) = problems(tmp_path, f"database: {NOWHERE}?{query}")
    assert problem in said
    assert "hush" not in said


def said_by_libpq(query: str) -> str:
    """What the driver says of a word, of a server that is not there."""
    try:
        psycopg.connect(f"{NOWHERE}?{query}")
    except psycopg.Error as error:
        return str(error)
    raise AssertionError("nobody listens on port 1")


def installed() -> set[str]:
    """The words that the installed libpq knows."""
    return {option.keyword.decode() for option in pq.Conninfo.get_defaults()}


def right_words() -> Iterator[str]:
    """Every value of each word that has a closed set of them."""
    for word in installed() & CHOICES.keys():
        yield from (f"{word}={value}" for value in CHOICES[word])
    yield from (f"{word}=5" for word in installed() & {*NUMBERS})
    yield from (f"require_auth={way}" for way in AUTHENTICATION if "require_auth" in installed())


def test_the_table_is_that_of_the_driver() -> None:
    assert installed() - {*WORDS} == set()
    assert [words for words in right_words() if " value: " in said_by_libpq(words)] == []
    assert [words for words in right_words() if server(f"{NOWHERE}?{words}") == ""] == []
    closed = installed() & {*CHOICES, *NUMBERS, "require_auth"}
    assert [word for word in closed if not {"invalid", "bad"} & set(said_by_libpq(f"{word}=nonsense").split())] == []
    assert [word for word in sorted(installed() - closed - {"port"}) if server(f"{NOWHERE}?{word}=x") == ""] == []
