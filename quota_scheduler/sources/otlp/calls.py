"""One call of a model as a record of OTLP tells of it, and the keys that make it the same call wherever it is told."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from quota_scheduler.core.usage import ORDINARY, Extent, PriceTerms, Usage
from quota_scheduler.sources.calls import message_of, response_key
from quota_scheduler.sources.otlp.records import Attributes

CLAUDE_CODE, CODEX, GEMINI, OPENCODE, QWEN, GENAI = "claude_code", "codex", "gemini", "opencode", "qwen", "genai"
"""Programs, called what the sources of their files are called; GENAI is any that follows the GenAI conventions."""
SERVICES = {"claude-code": CLAUDE_CODE, "codex": CODEX, "gemini-cli": GEMINI, "qwen-code": QWEN, "opencode": OPENCODE}
"""How the service names of programs begin: Codex has one for each of its faces."""


class OtlpCall(NamedTuple):
    """One call. ``cost_pico`` is what the program says that it cost, in pico-dollars, 0 where it does not say."""

    program: str
    key: str
    at: datetime
    provider: str
    model: str
    usage: Usage
    session: str
    facts: Attributes
    message: str = ""
    terms: PriceTerms = ORDINARY
    extent: Extent = Extent.WHOLE
    cost_pico: int = 0


def program_of(resource: Attributes) -> str:
    """Whose records these are, by the name of the service; GENAI where it is none that is known here."""
    service = str(resource.get("service.name") or "").replace("_", "-").lower()
    return next((program for start, program in SERVICES.items() if service.startswith(start)), GENAI)


def content_key(program: str, parts: Iterable[object]) -> str:
    """The key of a call that names no id: what it says, so that the same record twice is one."""
    said = "\0".join(str(part) for part in parts)
    return f"{program}:otlp:{hashlib.blake2b(said.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def keys_of(response: str, request: str = "") -> tuple[str, str]:
    """The key and message id of a call by the ids of its response and its request, as transcripts have them."""
    message = message_of(response)
    if message:
        return response_key(request) if request else response_key(response), message
    return response_key(response or request), ""


def larger(new: OtlpCall, old: OtlpCall) -> OtlpCall:
    """What two records say of one call: the output, and the input side that is larger or split more finely.

    An SDK's own span knows the request, the output and for how long caches were written; where it has no output since
    the stream was left, instrumentation beside it may say 1.
    """
    sides = sorted((new, old), key=_input_side)
    finest, other = sides[1], sides[0]
    output = _output(new, old)
    whole = finest if finest.usage.output or not other.usage.output else other
    named = finest if _names_its_request(finest) else other
    return finest._replace(
        key=named.key,
        message=finest.message or other.message,
        usage=finest.usage._replace(output=output),
        model=finest.model or other.model,
        terms=finest.terms if any(finest.terms) else other.terms,
        extent=whole.extent,
    )


def _names_its_request(call: OtlpCall) -> bool:
    return bool(call.message) and not call.key.startswith("msg:")


def _output(new: OtlpCall, old: OtlpCall) -> int:
    """Tokens written, as the SDK's own span has them; Traceloop's adds the placeholder that a stream begins with."""
    exact = max((call.usage.output for call in (new, old) if _names_its_request(call)), default=0)
    return exact or max(new.usage.output, old.usage.output)


def _input_side(call: OtlpCall) -> tuple[int, int, int]:
    usage = call.usage
    return usage.input_side, usage.input_side - usage.input, usage.cache_write_1h


def one_each(calls: Iterable[OtlpCall]) -> list[OtlpCall]:
    """One call for each response, whatever scopes tell of it: an SDK's own span and that of its instrumentation."""
    merged: dict[tuple[str, str], OtlpCall] = {}
    for call in calls:
        same = (call.provider, call.message or call.key)
        merged[same] = larger(call, merged[same]) if same in merged else call
    return list(merged.values())
