"""Amounts: read from people, exact inside, written for people."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.units import Unit, format_amount, format_number, in_units, parse_amount


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        pytest.param(2_500_000, Unit.TOKENS, 2_500_000, id="a whole number stands for itself"),
        pytest.param("2_500_000", Unit.TOKENS, 2_500_000, id="underscores group digits"),
        pytest.param("2,500,000", Unit.TOKENS, 2_500_000, id="commas group digits"),
        pytest.param("2.5M", Unit.TOKENS, 2_500_000, id="M is a million"),
        pytest.param("300m tokens", Unit.TOKENS, 300_000_000, id="small m too, and the unit may be named"),
        pytest.param("1.5k", Unit.REQUESTS, 1_500, id="k is a thousand"),
        pytest.param("2G", Unit.TOKENS, 2 * 10**9, id="G is a thousand million"),
        pytest.param("2b", Unit.TOKENS, 2 * 10**9, id="and so is B"),
        pytest.param("1T", Unit.TOKENS, 10**12, id="T is a million million"),
        pytest.param("$10", Unit.USD, 10_000_000, id="dollars are micro-dollars inside"),
        pytest.param("10 usd", Unit.USD, 10_000_000, id="dollars by name"),
        pytest.param("90%", Unit.PERCENT, 90_000_000, id="percent are millionths of a point inside"),
        pytest.param(12.5, Unit.PERCENT, 12_500_000, id="half a point"),
        pytest.param(0.1, Unit.USD, 100_000, id="a float is read as it is written, not as it is stored"),
        pytest.param("0.0000014", Unit.USD, 1, id="less than a micro-dollar is rounded"),
        pytest.param(Decimal("12.5"), Unit.USD, 12_500_000, id="a decimal"),
        pytest.param("1e6", Unit.TOKENS, 1_000_000, id="an exponent"),
        pytest.param(0, Unit.TOKENS, 0, id="nothing is an amount"),
        pytest.param(10**15, Unit.TOKENS, 10**15, id="the largest"),
        pytest.param(" 5 ", Unit.LEASES, 5, id="spaces around do not matter"),
    ],
)
def test_parse_amount(text, unit, amount):
    assert parse_amount(text, unit) == amount


@pytest.mark.parametrize(
    ("text", "unit", "says"),
    [
        pytest.param("much", Unit.TOKENS, "'much' is not an amount", id="a word"),
        pytest.param("", Unit.TOKENS, "'' is not an amount", id="nothing at all"),
        pytest.param("$", Unit.USD, "is not an amount", id="a bare dollar sign"),
        pytest.param("5%", Unit.TOKENS, "is not an amount", id="a share is no number of tokens"),
        pytest.param("5 apples", Unit.TOKENS, "is not an amount", id="another unit"),
        pytest.param("2,5M", Unit.TOKENS, "is not an amount", id="a decimal comma is not 25 million"),
        pytest.param("1,0000", Unit.TOKENS, "is not an amount", id="a comma before four digits"),
        pytest.param(
            "9" + " " * 500_000 + "x", Unit.TOKENS, "is not an amount", id="R6: a text that a pattern despairs of"
        ),
        pytest.param("a" * 500_000 + "1", Unit.TOKENS, "is not an amount", id="R6: a word without end"),
        pytest.param(True, Unit.TOKENS, "True is not an amount", id="a truth value"),
        pytest.param(-1, Unit.TOKENS, "must be zero or more", id="less than nothing"),
        pytest.param("-5", Unit.TOKENS, "must be zero or more", id="less than nothing, as text"),
        pytest.param(float("inf"), Unit.TOKENS, "must be zero or more", id="no limit is not an amount"),
        pytest.param(float("nan"), Unit.TOKENS, "must be zero or more", id="not a number"),
        pytest.param("1.5", Unit.TOKENS, "not a whole number of tokens", id="half a token"),
        pytest.param(0.5, Unit.LEASES, "not a whole number of leases", id="half a lease"),
        pytest.param(10**15 + 1, Unit.TOKENS, "is too large", id="more than stays exact"),
        pytest.param("2000T", Unit.TOKENS, "is too large", id="more than stays exact, as text"),
    ],
)
def test_what_is_not_an_amount(text, unit, says):
    with pytest.raises(ValueError, match=says):
        parse_amount(text, unit)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"), (950, "950"), (999, "999"), (1_000, "1k"), (1_234, "1.23k"), (12_345, "12.3k"), (100_000, "100k"),
        (999_499, "999k"), (999_500, "1M"), (2_500_000, "2.5M"), (300_000_000, "300M"), (10**9, "1G"), (10**12, "1T"),
        (4_321 * 10**12, "4,321T"), (-1_500, "-1.5k"), (-3, "-3"),
    ],
)  # fmt: skip
def test_counts_are_written_with_three_digits_and_a_suffix(amount, text):
    assert format_number(amount) == text


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        pytest.param(2_500_000, Unit.TOKENS, "2.5M tokens", id="tokens"),
        pytest.param(1, Unit.LEASES, "1 lease", id="one is singular"),
        pytest.param(-1, Unit.REQUESTS, "-1 request", id="and so is minus one"),
        pytest.param(3_500_000, Unit.USD, "$3.50", id="dollars with cents"),
        pytest.param(-3_500_000, Unit.USD, "-$3.50", id="a debt has its sign before the dollar"),
        pytest.param(1_234_567_890_000, Unit.USD, "$1,234,567.89", id="large sums are grouped"),
    ],
)
def test_format_amount(amount, unit, text):
    assert format_amount(amount, unit) == text


def test_people_and_json_see_dollars_and_whole_tokens():
    assert (in_units(2_500_000, Unit.USD), in_units(7, Unit.TOKENS)) == (2.5, 7)


@given(st.integers(0, 10**15), st.sampled_from([Unit.TOKENS, Unit.REQUESTS, Unit.LEASES]))
def test_what_is_written_out_is_read_back_exactly(amount, unit):
    assert parse_amount(f"{amount:_}", unit) == parse_amount(f"{amount:,}", unit) == amount


@given(st.integers(-(10**18), 10**18))
def test_a_written_count_is_within_half_a_percent(amount):
    text = format_number(amount)
    scale = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}.get(text[-1], 1)
    assert abs(float(text.rstrip("kMGT").replace(",", "")) * scale - amount) <= max(0.5, abs(amount) * 0.0051)
