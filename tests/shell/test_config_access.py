"""Who is let in, how often, and whose word about a client is believed: what the configuration says and what follows."""

from pathlib import Path

import pytest

from quota_scheduler.config import RateLimit, load
from quota_scheduler.config.tree import Tracing
from quota_scheduler.errors import ConfigError

TOKENS = f"tokens: [{{name: a, role: viewer, sha256: {'ab' * 32}}}]\n"


def loaded(folder: Path, text: str):
    (folder / "quota.yaml").write_text(text)
    return load(folder / "quota.yaml", {"HOME": str(folder)})


@pytest.mark.parametrize(
    ("text", "proxies"),
    [
        pytest.param("", (), id="nobody"),
        pytest.param("trusted_proxies: 127.0.0.1", ("127.0.0.1/32",), id="an address alone"),
        pytest.param("trusted_proxies: [10.0.0.0/8, '::1']", ("10.0.0.0/8", "::1/128"), id="a network and IPv6"),
        pytest.param("trusted_proxies: [10.1.2.3/8]", ("10.0.0.0/8",), id="an address within its network"),
    ],
)
def test_trusted_proxies(tmp_path: Path, text: str, proxies: tuple[str, ...]) -> None:
    assert loaded(tmp_path, text).trusted_proxies == proxies


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        pytest.param("", RateLimit(0.0, 20), id="as often as it likes"),
        pytest.param(f"{TOKENS}rate_limit: {{per_second: 5}}", RateLimit(5.0, 20), id="five a second"),
        pytest.param(f"{TOKENS}rate_limit: {{per_second: 0.5, burst: 3}}", RateLimit(0.5, 3), id="one in two seconds"),
    ],
)
def test_rates(tmp_path: Path, text: str, rate: RateLimit) -> None:
    assert loaded(tmp_path, text).rate_limit == rate


@pytest.mark.parametrize(
    ("text", "traces"),
    [
        pytest.param("", Tracing("", 1.0), id="off"),
        pytest.param("traces: {endpoint: 'http://otel:4318/'}", Tracing("http://otel:4318", 1.0), id="a collector"),
        pytest.param("traces: {endpoint: 'https://otel/x', share: 10%}", Tracing("https://otel/x", 0.1), id="a tenth"),
    ],
)
def test_traces(tmp_path: Path, text: str, traces: Tracing) -> None:
    assert loaded(tmp_path, text).traces == traces


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("trusted_proxies: [proxy.example.org]", "is no address or network", id="a name of a proxy"),
        pytest.param("trusted_proxies: ['*']", "is no address or network", id="everybody"),
        pytest.param("rate_limit: {per_second: 1e9}", "rate_limit.per_second", id="no number as people write it"),
        pytest.param("rate_limit: {per_second: 999999999}", "leave it out for no limit", id="as good as no rate"),
        pytest.param("rate_limit: {burst: 0}", "rate_limit.burst", id="none at once"),
        pytest.param(
            "traces: {endpoint: 'http://otel:99999'}", "no address of a collector", id="a collector's far port"
        ),
        pytest.param(
            "traces: {endpoint: 'http://otel:otlp'}", "no address of a collector", id="a collector's named port"
        ),
        pytest.param("traces: {endpoint: 'otel:4317'}", "no address of a collector", id="a collector without http"),
        pytest.param("traces: {endpoint: 'http://otel:4318/v1/traces'}", "leave /v1/traces out", id="its whole path"),
        pytest.param("traces: {endpoint: 'http://otel', share: 3}", "traces.share", id="more than all"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        loaded(tmp_path, text)
    assert [sentence in problem for problem in wrong.value.problems] == [True], wrong.value.problems
