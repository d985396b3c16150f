"""One name for what is one model or one provider, however it is spelt: what prices and scopes compare.

    us.anthropic.claude-opus-4-6-v1:0 ┐
    anthropic/Claude-Opus-4.6[1m]     ├──► claude-opus-4-6
    claude-opus-4-6@20260205          ┘

Labels keep the spelling they came with, since prices may depend on it (a region costs a tenth more); whoever asks
whether two are the same asks here. Only models and providers have spellings: a team or project is its bytes, because
two of them that differ in case alone may be two, and merging them would give one's budget to the other.
"""

import re
from functools import lru_cache

MOST_REMEMBERED = 4096
"""Spellings whose name is remembered: far above the models a fleet calls, and a bound on what clients can invent."""
ANY = "*"
"""The model of work that names none: it could be any."""
_CONTEXT = re.compile(r"\[[^\]]*\]$")
_VENDOR = re.compile(r"^(?:[a-z-]+\.)+(?=[a-z])")
_HOSTED_VERSION = re.compile(r"-v\d+:\d+(?::\w+)?$")
_AT = re.compile(r"@[\w-]+$")
_DATE = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d)$")
_CLAUDE_VARIANT = re.compile(r"(?::[a-z]+|-fast|-thinking|-latest)$")
_CLAUDE_VERSION = re.compile(r"(?<=\d)\.(?=\d)")
_CLAUDE_REVISION = re.compile(r"^(claude-.*\d.*)-v\d+$")
_CLAUDE_BACKWARDS = re.compile(r"^claude-([4-9](?:-\d{1,2})?)-([a-z]+)$")
_PROVIDERS = {
    "alibaba": ("dashscope", "qwen", "alibaba-cloud", "aliyun"),
    "azure": ("azure-ai", "azure-openai"),
    "bedrock": ("aws", "amazon", "amazon-bedrock", "aws-bedrock", "bedrock-converse"),
    "fireworks": ("fireworks-ai",),
    "google": ("gemini", "google-ai-studio", "google-genai"),
    "mistral": ("mistralai",),
    "moonshotai": ("moonshot", "moonshot-ai"),
    "openai": ("open-ai",),
    "together": ("together-ai", "togetherai"),
    "vertex": ("vertex-ai", "vertexai", "google-vertex", "google-vertex-ai"),
    "x-ai": ("xai", "x.ai"),
    "zai": ("z-ai", "z.ai"),
    "zhipuai": ("zhipu", "zhipu-ai", "bigmodel"),
}
"""Other names of providers, as gateways and price tables have them. Bedrock and Vertex are meters of their own."""
_ALIASES = {alias: provider for provider, aliases in _PROVIDERS.items() for alias in aliases}
_VENDORS = (
    ("claude", "anthropic"),
    ("gpt", "openai"),
    ("chatgpt", "openai"),
    ("codex", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("gemini", "google"),
    ("grok", "x-ai"),
    ("glm", "zai"),
    ("kimi", "moonshotai"),
    ("moonshot", "moonshotai"),
    ("qwen", "alibaba"),
    ("deepseek", "deepseek"),
    ("minimax", "minimax"),
    ("mistral", "mistral"),
    ("devstral", "mistral"),
    ("codestral", "mistral"),
)
"""How the names of a vendor's models begin."""
VENDORS = frozenset(vendor for _, vendor in _VENDORS)


def canonical(label: str, value: str) -> str:
    """The one name of a label's value; only models and providers have several."""
    if label == "model":
        return canonical_model(value)
    return canonical_provider(value) if label == "provider" else value


@lru_cache(MOST_REMEMBERED)
def canonical_provider(name: str) -> str:
    """The one name of a provider: ``Anthropic`` is ``anthropic``, ``vertex_ai`` is ``vertex``."""
    name = name.strip().lower()
    return _ALIASES.get(name.replace("_", "-"), name)


@lru_cache(MOST_REMEMBERED)
def canonical_model(name: str) -> str:
    """The one name of a model: in lower case, without context, path, region, vendor, hosting version and date.

    Of Claude's models also without speed (``-fast``), ``-thinking`` and ``-latest``, and with dashes in the version.
    The names of other vendors end in such words without meaning them: ``grok-4-fast`` is a model of its own.
    """
    name = _CONTEXT.sub("", name.strip().lower())
    name = name.rpartition("/")[2] or name
    name = _AT.sub("", _HOSTED_VERSION.sub("", _VENDOR.sub("", name)))
    if not name.startswith("claude-"):
        return _DATE.sub("", name)
    for _ in range(2):  # a variant may stand before or behind the date
        name = _DATE.sub("", _CLAUDE_VARIANT.sub("", name))
    name = _CLAUDE_REVISION.sub(r"\1", _CLAUDE_VERSION.sub("-", name))
    name = _DATE.sub("", _CLAUDE_BACKWARDS.sub(r"claude-\2-\1", name))
    return name.removesuffix("-0")


def is_fast(name: str) -> bool:
    """Whether a Claude model's name asks for fast mode, which costs more."""
    plain = _DATE.sub("", _AT.sub("", _CONTEXT.sub("", name.strip().lower())))
    return plain.endswith("-fast") and "claude-" in plain


def is_hosted(name: str) -> bool:
    """Whether a model's name is that of Bedrock, with a region or vendor and a dot in front."""
    return bool(_VENDOR.match(name.strip().lower().rpartition("/")[2]))


def vendor_of(model: str) -> str:
    """Whose model it is by its name; empty when the name does not tell."""
    name = canonical_model(model)
    return next((vendor for start, vendor in _VENDORS if name.startswith(start)), "")


def could_call(provider: str, model: str) -> bool:
    """Whether a provider may sell a model: a vendor its own, whoever is none any."""
    provider, vendor = canonical_provider(provider), vendor_of(model)
    return not vendor or provider not in VENDORS or provider == vendor
