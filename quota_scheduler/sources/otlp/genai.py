"""The GenAI conventions: spans, the event with a call's details, and the metric that splits nothing but in and out.

Input includes what came from the cache and what was written to it. Old and new names of the same figure stand beside
each other in the world. Spans of agents and tools add up what the spans below them say, so only calls of models count.
Measured with the SDKs of Anthropic and OpenAI and both families of instrumentation, November 2026.
"""

from datetime import datetime

from quota_scheduler.core.names import canonical_provider, vendor_of
from quota_scheduler.core.usage import Extent, Usage, price_terms
from quota_scheduler.sources.otlp.calls import GENAI, OtlpCall, keys_of
from quota_scheduler.sources.otlp.records import Attributes, count, text

EVENT = "gen_ai.client.inference.operation.details"
METRIC = "gen_ai.client.token.usage"
KINDS = {"input": (1, 0, 0, 0, 0), "output": (0, 0, 0, 0, 1)}
"""What each type of the metric adds to the five kinds: all of the input is taken for fresh, for want of a split."""
SUMS = frozenset({"invoke_agent", "create_agent", "invoke_workflow", "execute_tool", "plan"})
"""Operations that are no call of a model: what they report is told below them already."""
INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "ai.usage.cachedInputTokens",
)
WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
)
WRITE_1H = ("anthropic.usage.cache_creation.ephemeral_1h_input_tokens",)
ENDED = ("gen_ai.response.finish_reasons", "anthropic.message.stop_reason", "gen_ai.response.finish_reason")
MODEL = ("gen_ai.response.model", "gen_ai.request.model")
PROVIDER = ("gen_ai.provider.name", "gen_ai.system")
SESSION = ("session.id", "gen_ai.conversation.id", "conversation.id")
NAMES = frozenset(
    {
        *INPUT,
        *OUTPUT,
        *READ,
        *WRITE,
        *WRITE_1H,
        *ENDED,
        *MODEL,
        *PROVIDER,
        *SESSION,
        "gen_ai.operation.name",
        "gen_ai.response.id",
        "anthropic.request.id",
        "anthropic.response.service_tier",
        "openai.response.service_tier",
    }
)
"""Every attribute that is looked at."""
_CLOUDS = {
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "vertex",
    "aws.bedrock": "bedrock",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "x_ai": "x-ai",
    "mistral_ai": "mistral",
}
"""The conventions' own names of providers."""


def call_of(facts: Attributes, at: datetime, number: str, program: str = GENAI) -> OtlpCall | None:
    """The call that a span or a record's attributes report; None where they report none. Raises BadLine.

    ``number`` tells records apart that name no response.
    """
    everything_in, output = count(facts, *INPUT), count(facts, *OUTPUT)
    if (everything_in is None and output is None) or facts.get("gen_ai.operation.name") in SUMS:
        return None
    usage = _usage(facts, everything_in or 0, output or 0)
    if not usage.tokens:
        return None
    response, request = text(facts, "gen_ai.response.id"), text(facts, "anthropic.request.id")
    key, message = keys_of(response, request) if response or request else (f"span:{number}", "")
    model = text(facts, *MODEL)
    was_left = (output or 0) <= 1 and bool(response) and not any(facts.get(name) for name in ENDED)
    return OtlpCall(
        program,
        key,
        at,
        provider_of(facts, model),
        model,
        usage,
        text(facts, *SESSION),
        facts,
        message,
        terms=price_terms(tier=text(facts, "anthropic.response.service_tier", "openai.response.service_tier")[:20]),
        extent=Extent.PARTIAL if was_left and not _is_embedding(facts) else Extent.WHOLE,
    )


def provider_of(facts: Attributes, model: str) -> str:
    """Whose model was called, by what the record says, else by the model's name."""
    said = text(facts, *PROVIDER).strip().lower()
    return _CLOUDS.get(said) or canonical_provider(said) or vendor_of(model) or "unknown"


def _usage(facts: Attributes, everything_in: int, output: int) -> Usage:
    read, write, hour = count(facts, *READ) or 0, count(facts, *WRITE) or 0, count(facts, *WRITE_1H) or 0
    hour = min(hour, write)
    fresh = everything_in - read - write
    if fresh < 0:  # an input that is smaller than its parts is what older instrumentation calls the fresh ones
        fresh = everything_in
    return Usage(fresh, read, write - hour, hour, output, 1)


def _is_embedding(facts: Attributes) -> bool:
    return facts.get("gen_ai.operation.name") == "embeddings"
