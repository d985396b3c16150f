"""Names: what is one model and one provider, whatever spelling a record, a limit or a price uses."""

import pytest

from quota_scheduler.core.names import canonical_model, canonical_provider, could_call, is_fast, is_hosted


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("Claude-Opus-4-6", "claude-opus-4-6"),
        ("claude-opus-4-6[1m]", "claude-opus-4-6"),
        ("claude-opus-4-6@default", "claude-opus-4-6"),
        ("claude-opus-4-6@20260401", "claude-opus-4-6"),
        ("claude-opus-4-6-fast", "claude-opus-4-6"),
        ("claude-opus-4-6-fast[1m]", "claude-opus-4-6"),
        ("claude-opus-4-6-20260205-fast", "claude-opus-4-6"),
        ("claude-opus-4.6", "claude-opus-4-6"),
        ("anthropic/claude-opus-4.6:thinking", "claude-opus-4-6"),
        ("anthropic/claude-opus-4-6", "claude-opus-4-6"),
        ("us.anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6"),
        ("us-gov.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("anthropic.claude-opus-4-6-v1:0:200k", "claude-opus-4-6"),
        ("bedrock/eu.anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6"),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-6-v1:0",
            "claude-opus-4-6",
        ),
        ("publishers/anthropic/models/claude-opus-4-6@default", "claude-opus-4-6"),
        (" claude-opus-4-6 ", "claude-opus-4-6"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("claude-4.5-haiku", "claude-haiku-4-5"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-opus-4-0", "claude-opus-4"),
        ("claude-3-5-sonnet-v2@20241022", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("claude-v1", "claude-v1"),
        ("claude-opus-5", "claude-opus-5"),
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("openai/gpt-5.5", "gpt-5.5"),
        ("gpt-5.5-2026-04-23", "gpt-5.5"),
        ("gpt-5.4-mini", "gpt-5.4-mini"),
        ("grok-4-fast", "grok-4-fast"),
        ("grok-code-fast-1", "grok-code-fast-1"),
        ("zai/glm-4.7", "glm-4.7"),
        ("llama3:8b", "llama3:8b"),
        ("", ""),
    ],
)
def test_B2_the_spellings_of_a_model_have_one_name(spelling, name):
    assert (canonical_model(spelling), canonical_model(name)) == (name, name)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("anthropic", "anthropic"),
        ("Anthropic", "anthropic"),
        (" ANTHROPIC ", "anthropic"),
        ("aws", "bedrock"),
        ("Amazon-Bedrock", "bedrock"),
        ("vertex_ai", "vertex"),
        ("google", "google"),
        ("gemini", "google"),
        ("azure_openai", "azure"),
        ("dashscope", "alibaba"),
        ("my_gateway", "my_gateway"),
    ],
)
def test_B2_the_spellings_of_a_provider_have_one_name(spelling, name):
    assert canonical_provider(spelling) == name


@pytest.mark.parametrize(
    ("provider", "model", "possible"),
    [
        pytest.param("anthropic", "claude-opus-*", True, id="a vendor its own"),
        pytest.param("Anthropic", "gpt-5.5", False, id="a vendor not another's"),
        pytest.param("bedrock", "claude-opus-5", True, id="a host anybody's"),
        pytest.param("openai", "house-model", True, id="a model whose vendor its name does not tell"),
        pytest.param("my-gateway", "gpt-5.5", True, id="a gateway anybody's"),
    ],
)
def test_who_could_call_a_model(provider, model, possible):
    assert could_call(provider, model) is possible


@pytest.mark.parametrize(
    ("name", "fast", "hosted"),
    [
        ("claude-opus-5", False, False),
        ("claude-opus-5-fast", True, False),
        ("anthropic/claude-opus-5-fast[1m]", True, False),
        ("grok-4-fast", False, False),
        ("us.anthropic.claude-opus-5", False, True),
        ("bedrock/anthropic.claude-opus-5", False, True),
        ("gpt-5.5", False, False),
    ],
)
def test_what_a_name_says_about_its_price(name, fast, hosted):
    assert (is_fast(name), is_hosted(name)) == (fast, hosted)
