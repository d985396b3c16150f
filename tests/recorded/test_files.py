"""Files of recorded usage with flaws: what is read of them, and what is said of the flaw."""

import re

import pytest

from quota_scheduler.recorded.table import WrongFile
from quota_scheduler.recorded.totals import DAY, HOUR, read_totals
from quota_scheduler.simulate.run_files import read_runs

RUNS = "at,tokens,class\n2026-11-02T01:00Z,600,low\n2026-11-02T02:00Z,700,normal\n"
DAYS = "series_id,date,tokens\na,2026-06-01,100\na,2026-06-02,200\n"


def file(folder, text, encoding="utf-8"):
    (folder / "file.csv").write_bytes(text.encode(encoding))
    return folder / "file.csv"


@pytest.mark.parametrize(
    ("text", "encoding", "tokens", "sentence"),
    [
        pytest.param(RUNS, "utf-8", [600, 700], "", id="a sound file"),
        pytest.param(RUNS.replace("\n", "\r\n"), "utf-8", [600, 700], "", id="ends of lines as Windows writes them"),
        pytest.param(RUNS, "utf-8-sig", [600, 700], "", id="a mark at its beginning"),
        pytest.param(RUNS.replace(",", ";"), "utf-8", [600, 700], "parted by semicolons", id="semicolons"),
        pytest.param(RUNS.replace(",", "\t"), "utf-8", [600, 700], "parted by tabs", id="tabs"),
        pytest.param(
            RUNS + '2026-11-02T03:00Z,"1,234,567",low\n', "utf-8", [600, 700, 1234567], "", id="commas in thousands"
        ),
        pytest.param(RUNS + "2026-11-02T03:00Z,1.234.567,low\n", "utf-8", [600, 700, 1234567], "", id="points in them"),
        pytest.param(
            RUNS + "2026-11-02T03:00Z,1.234,low\n",
            "utf-8",
            [600, 700],
            "1 line is left out: line 4: tokens '1.234' is no number of tokens",
            id="a point that may part a fraction",
        ),
        pytest.param(
            RUNS + "2026-11-01T23:00Z,5,low\n", "utf-8", [5, 600, 700], "put in order", id="not in order of time"
        ),
        pytest.param(
            RUNS + "2026-11-02T04:30+02:00,5,low\n2026-11-02T03:00,6,low\n",
            "utf-8",
            [600, 700, 5, 6],
            "1 instant is without a zone, taken for UTC",
            id="instants of several zones and of none",
        ),
    ],
)
def test_runs(tmp_path, text, encoding, tokens, sentence):
    recording = read_runs(file(tmp_path, text, encoding))
    assert [run.usage.tokens for run in recording.runs] == tokens
    assert sentence in " ".join(recording.assumed)


@pytest.mark.parametrize(
    ("text", "days", "said"),
    [
        pytest.param(DAYS, (100, 200), [], id="a sound file"),
        pytest.param(
            DAYS + "a,2026-06-05,50\n",
            (100, 200, 0, 0, 50),
            ["file.csv: 2 days are without a line, most of series a: taken as idle."],
            id="a gap",
        ),
        pytest.param(
            DAYS + "a,2026-06-02,200\n", (100, 200), ["file.csv: 1 line is there twice, and counted once."], id="twice"
        ),
        pytest.param(
            DAYS + "a,2026-06-02,7\n",
            (100, 207),
            ["file.csv: 1 line is about a time that the series has already: added up."],
            id="two different lines of a day",
        ),
        pytest.param("series_id,date,tokens\na,2026-06-02,200\na,2026-06-01,100\n", (100, 200), [], id="unsorted"),
        pytest.param(DAYS + 'a,2026-06-03,"1,000"\n', (100, 200, 1000), [], id="a comma in thousands"),
        pytest.param(
            DAYS + "a,2026-06-03,1.234\n",
            (100, 200),
            ["file.csv: 1 line is left out: line 4: '1.234' may be 1234 or a fraction: write tokens without a point."],
            id="a point that may part a fraction",
        ),
        pytest.param(
            DAYS + "a,2026-13-03,5\n",
            (100, 200),
            ["file.csv: 1 line is left out: line 4: '2026-13-03' is no date: write 2026-11-27."],
            id="no date",
        ),
    ],
)
def test_totals_by_day(tmp_path, text, days, said):
    (series,), sentences = read_totals(file(tmp_path, text))
    assert (series.by(DAY), sentences) == (days, said)


def test_hours_are_those_of_utc(tmp_path):
    lines = "hour_utc,tokens\n2026-06-01T23:30-02:00,5\n2026-06-02T03:00Z,7\n2026-06-02T04:00,9\n"
    (series,), sentences = read_totals(file(tmp_path, lines))
    assert (series.start.isoformat(), series.by(HOUR), series.by(DAY), sentences) == (
        "2026-06-02T01:00:00",
        (5, 0, 7, 9),
        (21,),
        [],
    )


@pytest.mark.parametrize(
    ("text", "encoding", "sentence"),
    [
        pytest.param("", "utf-8", "the first line must name the columns at and tokens", id="empty"),
        pytest.param("a,2026-06-01,5\n", "utf-8", "and is: a, 2026-06-01, 5", id="no header"),
        pytest.param("time,total\n1,2\n", "utf-8", "and is: time, total", id="another header"),
        pytest.param(RUNS, "utf-16", "is no text in UTF-8: save it as CSV (UTF-8)", id="another encoding"),
        pytest.param("at,tokens,at\n", "utf-8", "the column 'at' twice: rename or remove one", id="a column twice"),
        pytest.param("date,tokens\nsoon,5\n", "utf-8", "no days: line 2: 'soon' is no date", id="nothing that counts"),
    ],
)
def test_what_is_no_such_file(tmp_path, text, encoding, sentence):
    with pytest.raises(WrongFile, match=re.escape(sentence)):
        read_runs(file(tmp_path, text, encoding))
