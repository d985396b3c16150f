"""Limits found by what they select are those that say they do, in the same order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.labels import Labels, match_of
from quota_scheduler.core.limits.binding import Binding
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.names import ANY
from tests.builders import a_limit, some_labels

VALUES = {
    "provider": ["anthropic", "Anthropic", "openai"],
    "model": ["claude-opus-5", "claude-opus-5-20260101", "gpt-6", "claude-*", ANY],
    "team": ["growth", "ops", "g*", ""],
    "project": ["a", "b", "?", ""],
}
SCOPES = st.fixed_dictionaries({}, optional={name: st.lists(st.sampled_from(v), min_size=1, max_size=2)
                                             for name, v in VALUES.items()})  # fmt: skip


@given(st.lists(st.tuples(SCOPES, st.sampled_from(Mode)), max_size=6), st.fixed_dictionaries(
    {name: st.sampled_from(v) for name, v in VALUES.items()}
))  # fmt: skip
def test_whatever_selects_is_found(rules, labels):
    limits = [a_limit(id=f"l{n}", match=match_of(scope), mode=mode) for n, (scope, mode) in enumerate(rules)]
    asked = Labels(**labels)
    assert Binding(limits).of(asked) == [limit for limit in limits if limit.selects(asked)]


@pytest.mark.parametrize(
    ("scope", "asked"),
    [
        pytest.param({"provider": "anthropic", "project": "p{}"}, 1, id="by the label that tells most apart"),
        pytest.param({"provider": "anthropic"}, 100, id="the provider tells nobody apart"),
        pytest.param({"project": "p*"}, 100, id="patterns are asked"),
    ],
)
def test_few_are_asked_of_many(scope, asked):
    many = [a_limit(id=f"l{n}", match=match_of({name: value.format(n) for name, value in scope.items()}))
            for n in range(100)]  # fmt: skip
    binding = Binding(many)
    labels = some_labels(project="p7")
    assert (len(binding.candidates(labels)), binding.of(labels)) == (
        asked,
        [one for one in many if one.selects(labels)],
    )
