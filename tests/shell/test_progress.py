"""How far a long command is: nothing of what is short, a line every few seconds of what is long."""

import pytest

from quota_scheduler.cli.progress import progress


@pytest.mark.parametrize(
    ("times", "said"),
    [
        pytest.param((0, 1, 2, 3), "", id="what is over soon says nothing"),
        pytest.param((0, 4, 6, 7, 12), "40% played\n80% played\n", id="a line every five seconds at most"),
    ],
)
def test_where_nobody_sees_a_line_move(capsys, times, said):
    now = [times[0]]
    hears = progress(clock=lambda: now[0])
    for number, now[0] in enumerate(times[1:], 1):
        hears(number * 0.2)
    now[0] = 60
    hears(1.0)
    assert capsys.readouterr().err == said
