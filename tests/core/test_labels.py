"""Labels: what a scope selects, and how a transcript gets its own."""

import pytest

from quota_scheduler.core.labels import LabelRule, Labels, covers, label_transcript, match_of, matches
from quota_scheduler.core.priority import Priority
from tests.builders import some_labels


@pytest.mark.parametrize(
    ("spec", "labels", "selected"),
    [
        pytest.param({}, some_labels(), True, id="an empty scope selects everything"),
        pytest.param({"provider": "anthropic"}, some_labels(), True, id="one value that is equal"),
        pytest.param({"provider": "openai"}, some_labels(), False, id="one value that is not"),
        pytest.param({"team": ["growth", "sales"]}, some_labels(team="sales"), True, id="one of several values"),
        pytest.param({"team": ["growth", "sales"]}, some_labels(), False, id="a label that was not given"),
        pytest.param(
            {"provider": "anthropic", "team": "growth"}, some_labels(team="ops"), False, id="every label must fit"
        ),
        pytest.param({"team": "growth-*"}, some_labels(team="growth-eu"), True, id="B2: a pattern of any label"),
        pytest.param({"team": "growth"}, some_labels(team="Growth"), False, id="B2: a team is its bytes"),
        pytest.param(
            {"model": "Claude-Opus-*"},
            some_labels(model="us.anthropic.claude-opus-5"),
            True,
            id="B2: a pattern fits the one name",
        ),
        pytest.param(
            {"model": "us.anthropic.*"},
            some_labels(model="us.anthropic.claude-opus-5"),
            True,
            id="B2: and the spelling itself",
        ),
        pytest.param(
            {"model": "claude-opus-5[1m]"},
            some_labels(model="claude-opus-5"),
            True,
            id="B2: a context suffix is no pattern",
        ),
    ],
)
def test_matches(spec, labels, selected):
    assert matches(match_of(spec), labels) is selected


def test_two_spellings_of_one_scope_are_equal():
    assert match_of({"team": "a", "provider": "p"}) == match_of({"provider": ["p"], "team": ["a"]})


def test_a_lease_says_on_whose_behalf_the_call_says_what_was_called():
    call = Labels("anthropic", account="max-1", model="claude-opus-5", project="site", workflow="site")
    lease = Labels("openai", model="gpt-6", team="growth", workflow="nightly")
    assert call.overlaid(lease) == Labels(
        "anthropic", account="max-1", model="claude-opus-5", team="growth", project="site", workflow="nightly"
    )


GROWTH = LabelRule((("cwd", "~/work/growth/**"),), (("team", "growth"),))
NIGHTLY = LabelRule((("cwd", "/srv/*"), ("branch", "main")), (("workflow", "nightly"),), Priority.LOW)
EVERYTHING = LabelRule((), (("team", "rest"),))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(
            {"cwd": "~/work/growth/site"}, ({"project": "site", "workflow": "site", "team": "growth"}, None),
            id="a folder below the pattern",
        ),
        pytest.param(
            {"cwd": "~/work/growth"}, ({"project": "growth", "workflow": "growth", "team": "growth"}, None),
            id="the folder itself",
        ),
        pytest.param(
            {"cwd": "~/work/growth/a/b"}, ({"project": "b", "workflow": "b", "team": "growth"}, None),
            id="a folder far below",
        ),
        pytest.param(
            {"cwd": "~/work/growthy"}, ({"project": "growthy", "workflow": "growthy", "team": "rest"}, None),
            id="a folder that only begins alike falls to the next rule",
        ),
        pytest.param(
            {"cwd": "/srv/jobs", "branch": "main"}, ({"project": "jobs", "workflow": "nightly"}, Priority.LOW),
            id="all patterns of a rule must fit; it may set the class",
        ),
        pytest.param(
            {"cwd": "/srv/jobs"}, ({"project": "jobs", "workflow": "jobs", "team": "rest"}, None),
            id="a fact that is not known fits no pattern but the empty one",
        ),
        pytest.param(
            {"cwd": r"C:\work\site"}, ({"project": "site", "workflow": "site", "team": "rest"}, None),
            id="a path of Windows has a last part too",
        ),
        pytest.param({}, ({"team": "rest"}, None), id="a transcript that does not say where it ran"),
        pytest.param({"cwd": "/home/ada/shop/.claude/worktrees/fix-1/src"},
                     ({"project": "shop", "workflow": "shop", "team": "rest"}, None), id="B11: a worktree"),
    ],
)  # fmt: skip
def test_the_first_rule_that_applies_labels_a_transcript(facts, expected):
    changed, priority = expected
    own = Labels("anthropic", account="max-1", model="opus")._replace(**changed)
    found = label_transcript(facts, (GROWTH, NIGHTLY, EVERYTHING), provider="anthropic", account="max-1", model="opus")
    assert found == (own, priority)


@pytest.mark.parametrize(
    ("pattern", "model", "applies"),
    [
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001", True),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5", True),
        ("*-20251001", "claude-haiku-4-5-20251001", True),
        ("Claude-Haiku-*", "us.anthropic.claude-haiku-4-5-20251001-v1:0", True),
        ("claude-haiku-*", "claude-opus-5", False),
    ],
)
def test_B2_a_rule_knows_a_model_by_any_spelling(pattern, model, applies):
    assert LabelRule((("model", pattern),), (("team", "t"),)).applies({"model": model}) is applies


def test_B2_scopes_cover_one_another_by_pattern():
    family, opus = {"claude-*"}, {"claude-opus-*", "claude-opus-5"}
    assert (covers(family, opus), covers(opus, family)) == (True, False)


def test_without_rules_project_and_workflow_are_the_folder():
    found = label_transcript({"cwd": "/home/ana/site/"}, (), provider="anthropic", account="default", model="opus")
    assert found == (Labels("anthropic", "default", "opus", project="site", workflow="site"), None)
