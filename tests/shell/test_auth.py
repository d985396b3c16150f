"""Tokens: who may do what, and where the service refuses to listen without them."""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quota_scheduler.api import ROUTES
from quota_scheduler.api.openapi import openapi
from quota_scheduler.assemble import assemble, reload
from quota_scheduler.auth import Tokens, allows
from quota_scheduler.config import ApiToken, Config, Role, load
from quota_scheduler.errors import StartError
from tests.shell.edge import LIMITS, Edge, start, ticket

ROLES = tuple(Role)
SECRETS = {role: f"the-{role.value}-secret" for role in ROLES}


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


TOKENS = Tokens([ApiToken(f"a-{role.value}", role, hashed(secret)) for role, secret in SECRETS.items()])
HEADERS = [
    pytest.param("Bearer the-runner-secret", "a-runner", id="a token"),
    pytest.param("bearer  the-runner-secret ", "a-runner", id="another spelling of the scheme, more blanks"),
    pytest.param("Bearer the-runner-secre", None, id="nearly a token"),
    pytest.param("Bearer ", None, id="no token"),
    pytest.param("", None, id="no header"),
    pytest.param("Basic the-runner-secret", None, id="another scheme"),
    pytest.param("the-runner-secret", None, id="no scheme"),
    pytest.param("Bearer " + hashed("the-runner-secret"), None, id="the hash in place of the token"),
    pytest.param("Bearer ünï", None, id="not in our alphabet"),
]


@pytest.mark.parametrize(("header", "name"), HEADERS)
def test_a_header_names_a_token(header: str, name: str | None) -> None:
    found = TOKENS.find(header)
    assert (found.name if found else None) == name


def test_roles_include_those_below() -> None:
    assert [[allows(role, needed) for needed in ROLES] for role in ROLES] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    rows = "".join(f"  - {{name: a-{r.value}, role: {r.value}, sha256: {hashed(s)}}}\n" for r, s in SECRETS.items())
    edge = start(tmp_path_factory.mktemp("auth"), f"{LIMITS}tokens:\n{rows}")
    yield edge
    edge.service.stop()


EVERY = [pytest.param(method, path, id=f"{method} {path}") for method, path, _ in ROUTES]


def documented_role(method: str, path: str) -> str:
    """The role that the OpenAPI document names, ``none`` for what is open to all."""
    operation = openapi()["paths"][path.replace(":path", "")][method.lower()]
    found = re.search(r"role (\w+)", operation["description"])
    return found[1] if found else "none"


def test_what_needs_no_token() -> None:
    assert [path for method, path, _ in ROUTES if documented_role(method, path) == "none"] == [
        "/metrics",
        "/healthz",
        "/readyz",
    ]


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_every_route_asks_for_the_role_that_is_documented(
    edge: Edge, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.service, "draining", path.endswith("/events"))  # a stream ends by itself only then
    url = path.replace("{limit:path}", "daily").replace("{limit}", "daily")
    url = url.replace("{ticket}", "t9").replace("{lease}", "l9")
    raw = b"{}" if method in ("POST", "PATCH") else None
    answers = [edge.ask(method, url, raw=raw, token=token).status for token in ("", "unknown", *SECRETS.values())]
    refused = [status for status in answers if status in (401, 403)]
    assert (
        refused
        == {
            "none": [],
            "viewer": [401, 401],
            "runner": [401, 401, 403],
            "operator": [401, 401, 403, 403],
        }[documented_role(method, path)]
    )


def test_who_is_refused_learns_why_and_what_to_send(edge: Edge) -> None:
    nobody = edge.ask("POST", "/v1/tickets", ticket("a"))
    assert (nobody.status, nobody.title) == (401, "no_token")
    assert nobody.body["detail"] == "send a known token: Authorization: Bearer …"
    assert nobody.headers["www-authenticate"] == "Bearer"
    viewer = edge.ask("POST", "/v1/tickets", ticket("a"), token=SECRETS[Role.VIEWER])
    assert (viewer.status, viewer.title) == (403, "role")
    assert viewer.body["detail"] == "this needs the role runner, the token 'a-viewer' is viewer"


BODIES = [pytest.param(path, id=path) for method, path, _ in ROUTES if method in ("POST", "PATCH")]


@pytest.mark.parametrize("path", BODIES)
def test_what_is_asked_wrongly_is_not_told_to_strangers(edge: Edge, path: str) -> None:
    url = path.replace("{limit}", "nothing").replace("{ticket}", "abc").replace("{lease}", "abc")
    method = "POST" if ("POST", path) in {(method, route) for method, route, _ in ROUTES} else "PATCH"
    assert edge.ask(method, url, raw=b"{").status == 401


def test_metrics_can_be_closed(tmp_path: Path) -> None:
    row = f"{{name: prometheus, role: viewer, sha256: {hashed('scrape')}}}"
    edge = start(tmp_path, f"metrics_auth: true\ntokens: [{row}]\n{LIMITS}")
    try:
        assert [edge.ask("GET", "/metrics", token=token).status for token in ("", "scrape")] == [401, 200]
    finally:
        edge.service.stop()


LISTENING = [
    pytest.param("127.0.0.1:0", False, id="loopback"),
    pytest.param("[::1]:0", False, id="loopback of version 6"),
    pytest.param("localhost:0", False, id="loopback by name"),
    pytest.param("0.0.0.0:0", True, id="every address"),
    pytest.param("[::]:0", True, id="every address of version 6"),
    pytest.param("192.0.2.7:0", True, id="an address of a network"),
    pytest.param("example.org:0", True, id="a name"),
]


@pytest.mark.parametrize(("listen", "refused"), LISTENING)
def test_without_a_token_it_serves_this_machine_only(tmp_path: Path, listen: str, refused: bool) -> None:
    variables = {"HOME": str(tmp_path), "QUOTA_LISTEN": listen, "QUOTA_DATABASE": str(tmp_path / "quota.db")}
    config = load(None, variables)
    if refused:
        with pytest.raises(StartError, match=r"can be reached from outside and no token is configured: add tokens"):
            assemble(config)
        assert not (tmp_path / "quota.db").exists()
    else:
        assemble(config).store.close()


PUBLIC = "listen: 192.0.2.7:0\ntokens_file: tokens\n"
LOCAL = "listen: 127.0.0.1:0\ntokens_file: tokens\n"
LINE = f"operator:ana:{hashed('the-operator-secret')}\n"
RELOADS = [
    pytest.param(PUBLIC, PUBLIC, "", "tokens_file: ", id="R2: the token file is empty"),
    pytest.param(PUBLIC, PUBLIC, "# none\n", "tokens_file: ", id="R2: the token file holds comments only"),
    pytest.param(PUBLIC, PUBLIC, None, "tokens_file: ", id="R2: the token file is gone"),
    pytest.param(PUBLIC, PUBLIC, LINE[:30], "tokens:1: ", id="R2: the token file is half written"),
    pytest.param(PUBLIC, "timezone: UTC\n", LINE, "listen: ", id="R2: the keys are removed, the address stays"),
    pytest.param(PUBLIC, "listen: 127.0.0.1:0\n", LINE, "listen: ", id="R2: loopback is asked for, the address stays"),
    pytest.param(LOCAL, LOCAL, "", "tokens_file: ", id="R2: the token file is empty, on loopback"),
    pytest.param(LOCAL, "", LINE, "is empty", id="R22: the configuration is empty"),
    pytest.param(LOCAL, "# timezone: UTC\n", LINE, "is empty", id="R22: the configuration holds comments only"),
    pytest.param(LOCAL, None, LINE, "is gone", id="R22: the configuration is gone"),
]


@pytest.mark.parametrize(("before", "after", "token_file", "reason"), RELOADS)
def test_R2_a_reload_takes_no_lock_off_the_door(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    before: str,
    after: str | None,
    token_file: str | None,
    reason: str,
) -> None:
    edge, reread = reloadable(tmp_path, before)
    try:
        written(tmp_path / "tokens", token_file)
        written(tmp_path / "quota.yaml", after and f"{after}{LIMITS if ': ' in after.partition('#')[0] else ''}")
        reload(edge.service, reread)
        assert [edge.ask("GET", "/v1/queue", token=token).status for token in ("", "the-operator-secret")] == [401, 200]
        assert [limit.id for limit in edge.service.writer.terms.limits] == ["daily"]
        (line,) = [record.getMessage() for record in caplog.records if "config.re" in record.getMessage()]
        assert line.startswith("config.rejected")
        assert reason in line
    finally:
        edge.service.stop()


def test_R2_a_reload_says_how_many_tokens_hold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    edge, reread = reloadable(tmp_path, PUBLIC)
    try:
        caplog.set_level("INFO")
        written(tmp_path / "tokens", LINE + f"viewer:ben:{hashed('the-viewer-secret')}\n")
        reload(edge.service, reread)
        assert edge.ask("GET", "/v1/queue", token="the-viewer-secret").status == 200
        assert "config.reloaded limits=1 tokens=2" in caplog.messages
    finally:
        edge.service.stop()


def reloadable(folder: Path, text: str) -> tuple[Edge, Callable[[], Config]]:
    """A service whose one token stands in a file, and how its configuration is read again."""
    written(folder / "tokens", LINE)
    edge = start(folder, f"{text}{LIMITS}")
    found_in = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}

    def reread() -> Config:
        there = folder / "quota.yaml"
        return load(there if there.exists() else None, found_in)

    return edge, reread


def written(file: Path, text: str | None) -> None:
    """A file with a content, None for none."""
    file.unlink(missing_ok=True)
    if text is not None:
        file.write_text(text)
