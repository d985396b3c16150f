"""Bodies that come in pieces are cut into the items they are made of, wherever the pieces end."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.sources.json_items import LARGEST_ITEM, JsonItems

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=6)


def cut(body: bytes, size: int) -> tuple[list[object], list[str]]:
    """The items of a body that comes in pieces of some size, and what is said to be none."""
    items = JsonItems()
    whole = [item for start in range(0, len(body), size) for item in items.feed(body[start : start + size])]
    whole += items.end()
    assert [number for number, _ in whole] == sorted({number for number, _ in whole})
    return [json.loads(item) for _, item in whole], items.refused


@given(OBJECTS, st.integers(1, 40), st.booleans(), st.sampled_from([None, 2]))
def test_an_array_is_its_elements(objects, size, ascii_only, indent):
    body = json.dumps(objects, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    if b"\xed\xa0" in body or b"\xed\xb0" in body:
        return
    assert cut(body, size) == (objects, [])


@given(OBJECTS, st.integers(1, 40), st.booleans())
def test_values_in_lines_are_the_lines(objects, size, ends_with_a_break):
    body = "\n".join(map(json.dumps, objects)).encode() + b"\n" * ends_with_a_break
    assert cut(body, size) == (objects, [])


@pytest.mark.parametrize(
    ("body", "items", "refused"),
    [
        pytest.param(b"", [], 0, id="nothing"),
        pytest.param(b" \n ", [], 0, id="blanks"),
        pytest.param(b"[]", [], 0, id="an empty array"),
        pytest.param(b'  {"a": "]}["}', [{"a": "]}["}], 0, id="one value, brackets in its text"),
        pytest.param(b'{\n  "a": 1\n}\n', [{"a": 1}], 0, id="one value, laid out for people"),
        pytest.param(
            b'\xef\xbb\xbf[{"a": "\\\\"}, {}]', [{"a": "\\"}, {}], 0, id="a mark before, a backslash at the end"
        ),
        pytest.param(b'[{"a": 1}, 5, "x", {"b": 2}]', [{"a": 1}, {"b": 2}], 1, id="what stands between is named"),
        pytest.param(b'[{"a": 1}, {"b": ', [{"a": 1}], 1, id="an end in the middle"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_body_is_its_items(body, items, refused, size):
    whole, said = cut(body, size)
    assert (whole, len(said)) == (items, refused)


@pytest.mark.parametrize("around", [pytest.param(b"[%s]", id="in an array"), pytest.param(b"%s", id="alone in a line")])
def test_an_item_that_is_too_long_is_passed_over_and_not_kept(around):
    items = JsonItems()
    before, _, after = (around % b"|").partition(b"|")
    assert list(items.feed(before + b'{"a": "')) == []
    most = 0
    for _ in range(LARGEST_ITEM // 2**20 + 2):
        assert list(items.feed(b"x" * 2**20)) == []
        most = max(most, len(items._kept))
    separator = b"," if before else b"\n"
    found = [*items.feed(b'"}' + separator + b'{"b": 1}' + after), *items.end()]
    assert [json.loads(item) for _, item in found] == [{"b": 1}]
    assert len(items.refused) == 1
    assert most <= LARGEST_ITEM + 2**20
