"""Where comments are written, and as whom: the section ``github``."""

from pathlib import Path

import pytest

from quota_scheduler.config import load
from quota_scheduler.config.tree import GitHub, GitHubApp
from quota_scheduler.config.writing import redacted
from quota_scheduler.errors import ConfigError

HOME = {"HOME": "/home/ann", "TOKEN": "ghp_EXAMPLE"}


def read(folder: Path, text: str):
    path = folder / "quota.yaml"
    path.write_text(text)
    return load(path, HOME, {})


@pytest.mark.parametrize(
    ("text", "github"),
    [
        pytest.param("", None, id="off by default"),
        pytest.param("github: {token: '${TOKEN}'}", GitHub("https://api.github.com", "ghp_EXAMPLE"), id="a token"),
        pytest.param(
            "github: {token: t, url: 'https://ghe.example/api/v3/', login: 'github-actions[bot]'}",
            GitHub("https://ghe.example/api/v3", "t", None, "github-actions[bot]"),
            id="Enterprise",
        ),
        pytest.param(
            "github: {app: {id: 123, key_file: /keys/app.pem, installation: 7}}",
            GitHub("https://api.github.com", "", GitHubApp("123", Path("/keys/app.pem"), 7)),
            id="an App",
        ),
    ],
)
def test_as_whom(tmp_path, text, github):
    assert read(tmp_path, text).github == github


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("{token: 'a b'}", "github.token: *** is no token", id="a token with a blank"),
        pytest.param("{token: t, url: 'https://github.com'}", "is GitHub's page and not its API", id="the page"),
        pytest.param("{token: t, url: ghe.example}", "is no address of an API", id="no address"),
        pytest.param(
            "{token: t, url: 'https://ghe.example:99999'}", "is no address of an API", id="a port there is none"
        ),
        pytest.param("{tokn: t}", "unknown key `tokn`: did you mean `token`?", id="a misspelt key"),
        pytest.param("{app: {id: 1}}", "github.app.key_file: is missing: name the App's", id="no key file"),
        pytest.param(
            "{token: t, app: {id: 1, key_file: k, installation: 7}}", "cannot both be given", id="two identities"
        ),
    ],
)
def test_what_is_wrong(tmp_path, text, problem):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"github: {text}")
    assert problem in str(caught.value)
    assert "'a b'" not in str(caught.value)


def test_a_token_is_shown_nowhere(tmp_path):
    config = read(tmp_path, "github: {token: '${TOKEN}'}")
    assert "ghp_EXAMPLE" not in repr(config) + str(redacted(config))
    assert redacted(config)["github"] == {"url": "https://api.github.com", "token": "***"}
