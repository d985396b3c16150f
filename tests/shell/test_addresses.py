import pytest

from quota_scheduler.addresses import hidden, without_password


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        pytest.param("postgresql://u:hush@h:5432/d", "postgresql://u@h:5432/d", id="before the host"),
        pytest.param("postgresql://h/d?user=u&password=hush", "postgresql://h/d?user=u", id="among the parameters"),
        pytest.param("postgresql://u:hush@a:1,b:2/d", "postgresql://u@a:1,b:2/d", id="with two hosts"),
        pytest.param("postgresql://u:h%40sh@h/d?sslpassword=x", "postgresql://u@h/d", id="of a key"),
        pytest.param("postgresql://u@h/d?sslmode=require", "postgresql://u@h/d?sslmode=require", id="without one"),
    ],
)
def test_nobody_sees_a_password(url: str, seen: str) -> None:
    assert without_password(url) == seen


@pytest.mark.parametrize(
    ("url", "text"),
    [
        pytest.param("postgresql://u:hush@h/d", 'bad: "…" in "h"', id="before the host"),
        pytest.param("postgresql://h/d?user=u&password=hush", 'bad: "…" in "h"', id="among the parameters"),
        pytest.param("postgresql://u@h/d", 'bad: "hush" in "h"', id="without one"),
    ],
)
def test_whoever_quotes_an_address_tells_no_password(url: str, text: str) -> None:
    assert hidden('bad: "hush" in "h"', url) == text
