"""Kin: whom an unknown model is like, by its name alone."""

import pytest

from quota_scheduler.core.kin import ModelFamilies

CLAUDE = ModelFamilies(
    [
        "claude-2",
        "claude-v1",
        "claude-3-5-haiku-latest",
        "claude-3-opus-latest",
        "claude-opus-4-0",
        "claude-opus-4-1",
        "claude-opus-4-8",
        "claude-opus-5",
        "claude-opus-5-5",
        "claude-sonnet-5",
        "claude-fable-5-2",
    ]
)
GPT = ModelFamilies(
    [
        "gpt-4",
        "gpt-5.3-codex",
        "gpt-5.1-codex-mini",
        "gpt-5.4-pro",
        "gpt-6-sol",
        "gpt-6.1-sol",
        "gpt-oss-120b",
        "o3",
        "o1-pro",
    ]
)


@pytest.mark.parametrize(
    ("families", "model", "kin"),
    [
        pytest.param(CLAUDE, "claude-opus-6", [["claude-opus-5-5"], ["claude-opus-5"]], id="the newest two versions"),
        pytest.param(CLAUDE, "Claude-Opus-6[1m]", [["claude-opus-5-5"], ["claude-opus-5"]], id="any spelling of it"),
        pytest.param(CLAUDE, "claude-opus-4-5", [["claude-opus-4-1"], ["claude-opus-4-0"]], id="none that is newer"),
        pytest.param(CLAUDE, "claude-opus-2", [["claude-3-opus-latest"]], id="all are newer"),
        pytest.param(CLAUDE, "claude-nova", [["claude-opus-5-5"], ["claude-fable-5-2"]], id="a family nobody knows"),
        pytest.param(CLAUDE, "mystery", [["claude-opus-5-5"], ["claude-fable-5-2"]], id="a name that says nothing"),
        pytest.param(CLAUDE, "opus", [["claude-opus-5-5"], ["claude-opus-5"]], id="a name without its first word"),
        pytest.param(CLAUDE, "mystery-3.5", [["claude-opus-5-5"], ["claude-fable-5-2"]], id="nor its version"),
        pytest.param(CLAUDE, "", [["claude-opus-5-5"], ["claude-fable-5-2"]], id="no name"),
        pytest.param(GPT, "gpt-5.3-codex-spark", [["gpt-5.3-codex"], ["gpt-5.1-codex-mini"]], id="the longest name"),
        pytest.param(GPT, "gpt-7", [["gpt-6.1-sol"], ["gpt-6-sol"]], id="billions are no version"),
        pytest.param(GPT, "o5-mini", [["o3"], ["o1-pro"]], id="another family of the same vendor"),
        pytest.param(ModelFamilies([]), "gpt-7", [], id="nothing is sold"),
    ],
)  # fmt: skip
def test_kin(families, model, kin):
    assert families.kin(model) == kin
