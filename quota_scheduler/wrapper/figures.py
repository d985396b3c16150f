"""What agents print about their usage, as tokens by model: one function a shape, told by the shape alone.

| agent | record | what it is |
| --- | --- | --- |
| Claude Code | ``result``: ``model_usage_since_last_result`` | of this run since its last result: added up |
| | ``result``: ``modelUsage`` | of the session since it began, resumes and forks included: never added up |
| | ``assistant``: ``message.usage`` | a response under way; its output is a placeholder |
| Codex | ``turn.completed``: ``usage`` | of the thread since it began; input holds the cache, output the reasoning |
| Gemini CLI | ``stats.models`` of ``-o json`` | of this run; ``input`` is without the cache, output without thoughts |
| | ``result``: ``stats.models`` of ``stream-json`` | of this run; ``input_tokens`` holds the cache |
| opencode | ``step_finish``: ``part.tokens`` | of one answer; output is without reasoning |
| qwen-code | ``result``: ``stats.models``, else ``usage`` | of the session since it began; input holds the cache |
| | ``assistant``: ``message.usage`` | of one answer, in the words of Claude Code; input holds the cache all the same |
"""

from collections.abc import Mapping
from typing import Any

Kinds = dict[str, int]
ByModel = dict[str, Kinds]
LARGEST = 10**12
"""More tokens than this in one figure are garbled."""


def claude_models(said: Any) -> ByModel:
    """``modelUsage`` and ``model_usage_since_last_result``: sub-agents and hidden calls are in it."""
    usage: ByModel = {}
    for model, figures in _object(said).items():
        one = _object(figures)
        long = _whole(one.get("cacheCreationEphemeral1hInputTokens"))
        usage[str(model)] = {
            "input": _whole(one.get("inputTokens")),
            "cache_read": _whole(one.get("cacheReadInputTokens")),
            "cache_write_5m": max(0, _whole(one.get("cacheCreationInputTokens")) - long),
            "cache_write_1h": long,
            "output": _whole(one.get("outputTokens")),
        }
    return usage


def claude_usage(said: Any) -> Kinds:
    """``usage`` of a message or of a result's main loop."""
    one = _object(said)
    if is_of_qwen(one):
        read = _whole(one.get("cache_read_input_tokens"))
        fresh = max(0, _whole(one.get("input_tokens")) - read)
        return {"input": fresh, "cache_read": read, "output": _whole(one.get("output_tokens"))}
    long = _whole(_object(one.get("cache_creation")).get("ephemeral_1h_input_tokens"))
    return {
        "input": _whole(one.get("input_tokens")),
        "cache_read": _whole(one.get("cache_read_input_tokens")),
        "cache_write_5m": max(0, _whole(one.get("cache_creation_input_tokens")) - long),
        "cache_write_1h": long,
        "output": _whole(one.get("output_tokens")),
    }


def codex_usage(said: Any) -> Kinds:
    """``usage`` of a turn, which is that of its thread."""
    one = _object(said)
    read, written = _whole(one.get("cached_input_tokens")), _whole(one.get("cache_write_input_tokens"))
    return {
        "input": max(0, _whole(one.get("input_tokens")) - read - written),
        "cache_read": read,
        "cache_write_5m": written,
        "output": _whole(one.get("output_tokens")),
    }


def gemini_models(stats: Any) -> ByModel:
    """``stats.models``, of either output format."""
    usage: ByModel = {}
    for model, figures in _object(_object(stats).get("models")).items():
        nested = _object(figures).get("tokens")
        one = _object(nested) if nested is not None else _object(figures)
        cached = _whole(one.get("cached"))
        if nested is not None:
            fresh = max(0, _whole(one.get("prompt")) - cached) + _whole(one.get("tool"))
            output = _whole(one.get("candidates")) + _whole(one.get("thoughts"))
        else:
            # thoughts stand in the total alone
            fresh = max(0, _whole(one.get("input_tokens")) - cached)
            output = max(
                _whole(one.get("output_tokens")), _whole(one.get("total_tokens")) - _whole(one.get("input_tokens"))
            )
        usage[str(model)] = {"input": fresh, "cache_read": cached, "output": output}
    return usage


def is_of_qwen(usage: Any) -> bool:
    """Whether ``usage`` in the words of Claude Code is qwen-code's: it has a total, and the cache is in the input."""
    return "total_tokens" in _object(usage)


def qwen_models(stats: Any) -> ByModel:
    """``stats.models`` of qwen-code's result: as Gemini's document, but ``candidates`` holds the thoughts."""
    usage: ByModel = {}
    for model, figures in _object(_object(stats).get("models")).items():
        one = _object(_object(figures).get("tokens"))
        read = _whole(one.get("cached"))
        fresh = max(0, _whole(one.get("prompt")) - read)
        usage[str(model)] = {"input": fresh, "cache_read": read, "output": _whole(one.get("candidates"))}
    return usage


def qwen_answer(said: Any) -> Kinds:
    """``qwen-code.api_response`` in a transcript: one answer."""
    one = _object(said)
    read = _whole(one.get("cached_content_token_count"))
    fresh = max(0, _whole(one.get("input_token_count")) - read)
    return {"input": fresh, "cache_read": read, "output": _whole(one.get("output_token_count"))}


def opencode_step(tokens: Any) -> Kinds:
    """``tokens`` of one answer."""
    one = _object(tokens)
    cache = _object(one.get("cache"))
    return {
        "input": _whole(one.get("input")),
        "cache_read": _whole(cache.get("read")),
        "cache_write_5m": _whole(cache.get("write")),
        "output": _whole(one.get("output")) + _whole(one.get("reasoning")),
    }


def added(one: Mapping[str, Kinds], other: Mapping[str, Kinds]) -> ByModel:
    """Both together."""
    result = {model: dict(kinds) for model, kinds in one.items()}
    for model, kinds in other.items():
        sums = result.setdefault(model, {})
        for kind, tokens in kinds.items():
            sums[kind] = sums.get(kind, 0) + tokens
    return result


def less(total: Mapping[str, Kinds], began: Mapping[str, Kinds]) -> ByModel:
    """What came since; a total that is smaller than before is that of another beginning, and none of it is taken."""
    return {
        model: {kind: max(0, tokens - began.get(model, {}).get(kind, 0)) for kind, tokens in kinds.items()}
        for model, kinds in total.items()
    }


def used(usage: Mapping[str, Kinds]) -> ByModel:
    """Without models and kinds that nothing was used of."""
    some = {model: {kind: tokens for kind, tokens in kinds.items() if tokens} for model, kinds in usage.items()}
    return {model: kinds for model, kinds in some.items() if kinds}


def _object(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, Mapping) else {}


def _whole(said: Any) -> int:
    """A count of tokens; 0 for what is none."""
    is_count = isinstance(said, int | float) and not isinstance(said, bool) and 0 <= said <= LARGEST
    return int(said) if is_count else 0
