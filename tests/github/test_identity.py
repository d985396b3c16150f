"""In whose name: an App signs, gets a token of an hour, and is known by its bot."""

from datetime import timedelta

import pytest

from quota_scheduler.github.identity import AppIdentity, NoIdentity, signed_jwt
from quota_scheduler.github.issue_comments import HEADERS
from quota_scheduler.outbound import OtherServer
from tests.builders import MONDAY

jwt = pytest.importorskip("jwt", reason="needs pyjwt[crypto]")


@pytest.fixture(scope="module")
def key():
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def key_file(key, tmp_path):
    from cryptography.hazmat.primitives import serialization as form

    path = tmp_path / "app.pem"
    path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.TraditionalOpenSSL, form.NoEncryption()))
    return path


def test_what_is_signed_holds_for_less_than_ten_minutes(key, key_file):
    claims = jwt.decode(
        signed_jwt("12345", key_file, MONDAY), key.public_key(), algorithms=["RS256"], options={"verify_exp": False}
    )
    began = int(MONDAY.timestamp())
    assert claims == {"iat": began - 60, "exp": began + 540, "iss": "12345"}


def test_a_token_of_an_hour_is_asked_for_once_and_again_before_it_ends(github, base, key_file):
    now = [MONDAY]
    app = AppIdentity(
        OtherServer(base, headers=HEADERS, seconds=5), app="1", key_file=key_file, installation=7, clock=lambda: now[0]
    )
    for at in (MONDAY, MONDAY + timedelta(minutes=54), MONDAY + timedelta(minutes=56)):
        now[0] = at
        github.apps[signed_jwt("1", key_file, at)] = "quota-app"
        assert app.headers() == {"Authorization": "Bearer installed"}
    assert github.asked == ["POST /app/installations/7/access_tokens"] * 2
    assert app.login() == "quota-app[bot]"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(None, "cannot be read (No such file or directory)", id="no file"),
        pytest.param(b"hello", "holds no RSA private key in PEM", id="no key"),
    ],
)
def test_a_key_that_is_none_is_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "app.pem"
    if content:
        path.write_bytes(content)
    with pytest.raises(NoIdentity) as raised:
        signed_jwt("1", path, MONDAY)
    assert str(raised.value) == f"github.app.key_file: {path} {sentence}"
