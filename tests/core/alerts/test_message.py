"""What may go out: a subject of one line, and no mention that a receiver would act on."""

import pytest

from quota_scheduler.core.alerts.message import defused, one_line, receiver_of

NO_SPACE = "\u200b"


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        pytest.param("@everyone", f"@{NO_SPACE}everyone", id="R18: everybody"),
        pytest.param("team@here", f"team@{NO_SPACE}here", id="R18: also within a word"),
        pytest.param("(@channel)", f"(@{NO_SPACE}channel)", id="R18: a channel"),
        pytest.param("<!channel>", f"<{NO_SPACE}!channel>", id="R18: as Slack writes it"),
        pytest.param("<!subteam^S1>", f"<{NO_SPACE}!subteam^S1>", id="R18: a group"),
        pytest.param("<@U123>", f"<{NO_SPACE}@{NO_SPACE}U123>", id="R18: a person, as Slack and Discord write it"),
        pytest.param("<at>ada</at>", f"<{NO_SPACE}at>ada</at>", id="R18: a person, as Teams writes it"),
        pytest.param("@ada", f"@{NO_SPACE}ada", id="R18: a person, as Telegram writes it"),
        pytest.param("claude-opus@default", "claude-opus@default", id="a model's name is none"),
        pytest.param("5 < 7 and a @ b", "5 < 7 and a @ b", id="nor are signs alone"),
        pytest.param("a\x1b[31mb\tc\nd\x00", "a[31mb\tc\nd", id="R18: control characters are left out"),
    ],
)
def test_mentions_are_taken_apart(text, harmless):
    assert defused(text) == harmless


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nBcc: b", "a Bcc: b"),
        ("a\x00\x1b\u2028b\n", "a b"),
        ("plain", "plain"),
    ],
)
def test_R18_a_subject_is_one_line(text, line):
    assert one_line(text) == line


def test_a_target_names_its_receiver():
    assert [receiver_of(target) for target in ("ops", "ops/2")] == ["ops", "ops"]
