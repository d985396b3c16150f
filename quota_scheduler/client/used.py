"""What a model's answer says it used, whichever SDK made it: read by the names of its fields, so that none is needed.

Anthropic tells fresh input apart from the cache; OpenAI's two interfaces, LiteLLM and LangChain tell an input that
includes it. Measured with anthropic 2.14, openai 3.57, litellm 1.110, langchain-core 1.8.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHARS_A_TOKEN = 4
"""Of English text and code with current tokenizers (OpenAI's own rule of thumb); only for streams left early."""
REQUEST_HEADERS = ("llm_provider-request-id", "request-id", "x-request-id")
VENDOR_REQUESTS = ("req_", "req-")
VENDOR_RESPONSES = ("msg_", "resp_", "chatcmpl-", "gen-")


@dataclass(frozen=True)
class Used:
    """The tokens of one answer, and the ids that let it count once. ``whole`` False: the stream was left early."""

    model: str = ""
    response: str = ""
    request: str = ""
    kinds: Mapping[str, int] = field(default_factory=dict)
    whole: bool = True

    @property
    def tokens(self) -> int:
        """All kinds together."""
        return sum(self.kinds.values())

    def keys(self) -> dict[str, str]:
        """``key`` and ``message`` of the usage event, as transcripts and gateways give them; empty without any id.

        The id of a request stands for itself, the id of a message behind ``msg:``, that of OpenAI's answers behind
        ``codex:``, as the ledger has them.
        """
        message = self.response if self.response.startswith(VENDOR_RESPONSES) else ""
        if self.request.startswith(VENDOR_REQUESTS) and self.response.startswith(("msg_", "")):
            is_anthropic = not message or message.startswith("msg_")
            if is_anthropic:
                return {"key": self.request, "message": message}
        if message:
            return {"key": f"{'msg' if message.startswith('msg_') else 'codex'}:{message}", "message": message}
        key = self.response or self.request
        return {"key": f"sdk:{key}"} if key else {}


def used_in(answer: Any) -> Used | None:
    """What an answer used; None where it says nothing of it."""
    said = _get(answer, "usage")
    if said is None and _get(answer, "usage_metadata") is not None:
        return _langchain(answer)
    if said is None:
        return None
    return Used(
        model=_text(_get(answer, "model")),
        response=_text(_get(answer, "id")),
        request=request_in(answer),
        kinds=kinds_in(said),
    )


def kinds_in(said: Any) -> dict[str, int]:
    """The five kinds of a ``usage`` object or mapping of any of the SDKs."""
    if _get(said, "prompt_tokens") is not None:
        return _inclusive(said, "prompt_tokens", "completion_tokens", _get(said, "prompt_tokens_details"))
    details = _get(said, "input_tokens_details")
    if details is not None:
        return _inclusive(said, "input_tokens", "output_tokens", details)
    writes = _get(said, "cache_creation")
    hour = _count(writes, "ephemeral_1h_input_tokens")
    written = max(_count(said, "cache_creation_input_tokens"), hour + _count(writes, "ephemeral_5m_input_tokens"))
    return {
        "input": _count(said, "input_tokens"),
        "cache_read": _count(said, "cache_read_input_tokens"),
        "cache_write_5m": written - hour,
        "cache_write_1h": hour,
        "output": _count(said, "output_tokens"),
    }


def _inclusive(said: Any, into: str, out: str, details: Any) -> dict[str, int]:
    """Where the input includes what came from the cache and was written to it."""
    read = _count(details, "cached_tokens") or _count(said, "cache_read_input_tokens")
    written = _count(details, "cache_write_tokens") or _count(details, "cache_creation_tokens")
    written = written or _count(said, "cache_creation_input_tokens")
    hour = min(written, _count(_get(details, "cache_creation_token_details"), "ephemeral_1h_input_tokens"))
    fresh = max(0, _count(said, into) - read - written)
    return {
        "input": fresh,
        "cache_read": read,
        "cache_write_5m": written - hour,
        "cache_write_1h": hour,
        "output": _count(said, out),
    }


def _langchain(message: Any) -> Used:
    """A message of LangChain: its input includes the cache, its id may be one of LangChain's own runs."""
    said, meta = _get(message, "usage_metadata"), _get(message, "response_metadata") or {}
    details = _get(said, "input_token_details")
    hour, read = _count(details, "ephemeral_1h_input_tokens"), _count(details, "cache_read")
    # where the two kinds of writes are told apart, langchain-anthropic says 0 for both together
    written = max(_count(details, "cache_creation"), hour + _count(details, "ephemeral_5m_input_tokens"))
    response = _text(_get(meta, "id")) or _text(_get(message, "id"))
    return Used(
        model=_text(_get(meta, "model_name")) or _text(_get(meta, "model")),
        response=response,
        kinds={
            "input": max(0, _count(said, "input_tokens") - read - written),
            "cache_read": read,
            "cache_write_5m": written - hour,
            "cache_write_1h": hour,
            "output": _count(said, "output_tokens"),
        },
    )


def request_in(answer: Any) -> str:
    """The id of the request, where the SDK keeps it with the answer or the stream."""
    said = _text(_get(answer, "_request_id")) or _text(_get(answer, "request_id"))
    if said:
        return said
    headers = _get(_get(answer, "_hidden_params"), "additional_headers") or _get(_get(answer, "response"), "headers")
    return next((text for name in REQUEST_HEADERS if (text := _text(_get(headers, name)))), "")


def guessed(text_in: int, text_out: int) -> dict[str, int]:
    """Tokens of a stream that was left before it said any, from the characters that went in and came out."""
    return {"input": -(-text_in // CHARS_A_TOKEN), "output": -(-text_out // CHARS_A_TOKEN)}


def _get(value: Any, name: str) -> Any:
    """A field of a mapping or an object; None where it has none."""
    if value is None:
        return None
    getter = getattr(value, "get", None)
    if isinstance(value, Mapping) or (callable(getter) and not hasattr(value, name)):
        try:
            return getter(name) if getter else None
        except Exception:
            return None
    return getattr(value, name, None)


def _count(value: Any, name: str) -> int:
    said = _get(value, name)
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else 0


def _text(said: Any) -> str:
    return said if isinstance(said, str) else ""
