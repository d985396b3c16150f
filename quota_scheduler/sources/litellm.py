"""LiteLLM's ``generic_api`` callback: one item for each call through the proxy, into usage.

``prompt_tokens`` includes what was read from the cache and written to it, whoever the provider is, and
``completion_tokens`` includes reasoning. Answers from the proxy's own cache report all tokens once more and cost
nothing: they do not count. A cost of 0 means that the proxy knows no price. Texts are dropped unread. Measured with
1.110.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from quota_scheduler.core.instants import EPOCH, is_plausible
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.names import canonical_provider, vendor_of
from quota_scheduler.core.observations.observation import Observation, Throttle
from quota_scheduler.core.units import LARGEST_EVENT
from quota_scheduler.core.usage import Extent, Usage, UsageEvent, price_terms
from quota_scheduler.sources.calls import MESSAGE, Count, message_of, response_key
from quota_scheduler.sources.json_items import JsonItems
from quota_scheduler.sources.pushed import Find, PushedLabels, plain
from quota_scheduler.sources.records import MOST_SEARCHES, BadLine
from quota_scheduler.sources.word.headers import read_answer, read_litellm
from quota_scheduler.sources.word.word import Teller, Word

SOURCE = "litellm"
HEALTH_CHECK = "litellm-internal-health-check"
"""The tag of calls that the proxy makes to see whether a deployment answers: paid for, and nobody's work."""
CACHED = "_cache_hit"
"""What the id of an answer from the proxy's own cache ends in, before the time."""
FAILURE = "failure"
REFUSALS = ("429", "529")
"""Codes of a provider that takes no more for a moment, or until a window ends."""
OVERLOADED = "503_PROVIDER_OVERLOADED"
OWN_COUNTERS = "x_ratelimit_"
"""How the names begin under which the proxy hands on counters of its own, beside the provider's headers."""
VENDOR = "vendor_rate_limit"
"""The category of a refusal that came from the provider, where the proxy tells it from its own."""
LEFT = "499"
"""The code of a client that left: what it had not seen yet is an estimate of the proxy."""
REQUEST_HEADERS = ("llm_provider-request-id", "request-id")
KEY = "user_api_key_"
"""What the proxy knows of a caller's key stands under names that begin so."""
COMPLETIONS = {"text-completion-openai": "openai", "azure_text": "azure"}
"""Providers by the names that the proxy has for their older routes."""
SPEND = "spend_logs_metadata."
"""The names of labels that are read from there begin so."""


class _Writes(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class _Prompt(msgspec.Struct, gc=False):
    cached_tokens: Count = None
    cache_write_tokens: Count = None
    cache_creation_tokens: Count = None
    cache_creation_token_details: _Writes | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens_details: _Prompt | None = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    server_tool_use: Any = None
    speed: Any = None
    service_tier: Any = None
    inference_geo: Any = None


class _Hidden(msgspec.Struct, gc=False):
    additional_headers: Any = None


class _Failure(msgspec.Struct, gc=False):
    error_code: Any = None
    error_provider_request_id: Any = None
    error_rate_limit_category: Any = None
    normalized_error: Any = None


class _Item(msgspec.Struct, gc=False):
    id: str | None = None
    litellm_call_id: str | None = None
    trace_id: str | None = None
    status: str | None = None
    cache_hit: Any = None
    call_type: str | None = None
    custom_llm_provider: str | None = None
    model: str | None = None
    model_group: str | None = None
    model_id: str | None = None
    start_time: float | None = msgspec.field(name="startTime", default=None)
    end_time: float | None = msgspec.field(name="endTime", default=None)
    prompt_tokens: Count = None
    completion_tokens: Count = None
    request_tags: Any = None
    hidden_params: _Hidden | None = None
    error_information: _Failure | None = None


class _Metadata(msgspec.Struct, gc=False):
    usage_object: _Usage | None = None
    spend_logs_metadata: Any = None
    requester_custom_headers: Any = None
    requester_metadata: Any = None


def _decoder(keys: Sequence[str]) -> "msgspec.json.Decoder[Any]":
    """The decoder of items, which keeps of what the proxy knows about the caller's key no more than labels need."""
    named = [(f"key_{number}", Any, msgspec.field(default=None, name=key)) for number, key in enumerate(keys)]
    metadata = msgspec.defstruct("Metadata", named, bases=(_Metadata,), gc=False)
    item = msgspec.defstruct("Item", [("metadata", metadata | None, None)], bases=(_Item,), gc=False)
    return msgspec.json.Decoder(item, strict=False)


class LitellmDoor:
    """Reads the items of a callback, one after the other."""

    def __init__(self, labels: PushedLabels) -> None:
        self._labels = labels
        self._keys = sorted(name for name in labels.wanted if name.startswith(KEY))
        self._decoder = _decoder(self._keys)

    @staticmethod
    def items() -> JsonItems:
        """What cuts a body into items."""
        return JsonItems()

    def read(self, items: Iterable[tuple[int, bytes]], *, now: datetime, cut: Iterable[str] = ()) -> Pushed:
        """What some items tell, each with its number in the body; ``cut`` says what could not be cut out of it."""
        events: list[UsageEvent] = []
        words: dict[Any, Observation] = {}
        throttles: list[Throttle] = []
        refused = list(cut)
        skipped = 0
        for number, item in items:
            try:
                event, word = self._told(item, now)
            except BadLine as error:
                refused.append(f"item {number}: {error}")
                continue
            words |= {replace(report, observed_at=EPOCH): report for report in word.observations}
            throttles += word.throttles
            if event is None:
                skipped += 1
            else:
                events.append(event)
        return Pushed(
            SOURCE,
            tuple(events),
            observations=tuple(words.values()),
            throttles=tuple(throttles),
            refused=tuple(refused),
            skipped=skipped,
        )

    def _told(self, raw: bytes, now: datetime) -> tuple[UsageEvent | None, Word]:
        """The call that an item reports, None where nothing was bought, and what its provider said. Raises BadLine."""
        try:
            item = self._decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise BadLine(str(error)[:200]) from None
        metadata, at = item.metadata or _Metadata(), _instant(item, now)
        said = item.custom_llm_provider or ""
        provider = canonical_provider(COMPLETIONS.get(said, said)) or vendor_of(item.model or "") or "unknown"
        find = _finder(metadata, self._named_keys(metadata), item.request_tags)
        callers = (item.model_id or "", item.model_group or "")
        labels = self._labels.labels(find, provider=provider, model=_model(item), agent="", callers=callers)
        word = _word_of(item, Teller(labels.account, at, SOURCE, provider))
        usage = _usage(item, metadata.usage_object or _Usage())
        if not usage.tokens or item.cache_hit is True or CACHED in (item.id or ""):
            return None, word
        if usage.tokens > LARGEST_EVENT:
            raise BadLine(f"{usage.tokens} tokens are no call that was ever made")
        if _is_health_check(item):
            labels = labels._replace(workflow=HEALTH_CHECK, agent=SOURCE, team=self._labels.team)
        return self._event(item, usage, labels, at, self._labels.value("run", find)), word

    def _event(self, item: Any, usage: Usage, labels: Labels, at: datetime, run: str) -> UsageEvent:
        said = (item.metadata.usage_object if item.metadata else None) or _Usage()
        is_whole = _code(item) != LEFT and item.status != FAILURE
        (key, message), session = _keys(item), plain(item.trace_id or "")
        return UsageEvent(
            key=key,
            at=at,
            labels=labels,
            usage=usage,
            run=run or session,
            session=session,
            message=message,
            priority=self._labels.priority,
            status=FAILURE if item.status == FAILURE else "",
            terms=price_terms(
                speed=_word(said.speed),
                tier=_word(said.service_tier),
                geo=_word(said.inference_geo),
                web_searches=_searches(said.server_tool_use),
            ),
            origin=SOURCE,
            extent=Extent.WHOLE if is_whole else Extent.PARTIAL,
        )

    def _named_keys(self, metadata: Any) -> dict[str, Any]:
        """What the proxy says of the caller's key under the names that labels are read from."""
        return {key: getattr(metadata, f"key_{number}", None) for number, key in enumerate(self._keys)}


def _usage(item: _Item, said: _Usage) -> Usage:
    """The five kinds; writes that no TTL is said for are short ones."""
    prompt = said.prompt_tokens_details or _Prompt()
    writes = prompt.cache_creation_token_details or _Writes()
    read = _first(prompt.cached_tokens, said.cache_read_input_tokens)
    write = _first(prompt.cache_write_tokens, prompt.cache_creation_tokens, said.cache_creation_input_tokens)
    hour = min(writes.ephemeral_1h_input_tokens or 0, write)
    fresh = max(0, (item.prompt_tokens or 0) - read - write)
    return Usage(fresh, read, write - hour, hour, item.completion_tokens or 0, 1)


def _first(*counts: int | None) -> int:
    return next((count for count in counts if count), 0)


def _model(item: _Item) -> str:
    """The model without the name of its provider in front, which routed calls have."""
    model = item.model or ""
    vendor, slash, name = model.partition("/")
    is_prefix = slash and vendor.replace("-", "_") == (item.custom_llm_provider or "").replace("-", "_")
    return name if is_prefix else model


def _keys(item: _Item) -> tuple[str, str]:
    """The key, and the message's id: as transcripts have them where both are Anthropic's.

    A failure and the success after it share the call's id, so that alone is no key.
    """
    number = item.id or ""
    message = message_of(number)
    if not message:
        return f"litellm:{item.litellm_call_id or number}:{item.status or ''}", ""
    request = _request(item) if number.startswith(MESSAGE) else ""
    return response_key(request or number), message


def _word_of(item: _Item, teller: Teller) -> Word:
    """What the provider said about its windows, or that it refused; a refusal of the proxy itself is none of it.

    Headers of a failure are handed on without the prefix that those of an answer have.
    """
    failure, code = item.error_information or _Failure(), _code(item)
    if item.status != FAILURE:
        return read_litellm(_headers(item), teller)
    if code not in REFUSALS or failure.error_rate_limit_category not in (None, VENDOR):
        return Word()
    headers = {name: value for name, value in _headers(item).items() if not name.startswith(OWN_COUNTERS)}
    return read_answer(headers, teller, status=int(code))


def _code(item: _Item) -> str:
    """The code of an error; a provider that is overloaded comes as a 500 and is told apart by another name."""
    failure = item.error_information or _Failure()
    return "529" if failure.normalized_error == OVERLOADED else str(failure.error_code or "")


def _headers(item: _Item) -> dict[str, Any]:
    headers = item.hidden_params.additional_headers if item.hidden_params else None
    return headers if isinstance(headers, dict) else {}


def _request(item: _Item) -> str:
    headers = _headers(item)
    return next((value for name in REQUEST_HEADERS if isinstance(value := headers.get(name), str) and value), "")


def _instant(item: _Item, now: datetime) -> datetime:
    """When the answer ended. Raises BadLine for a time that nobody can mean."""
    seconds = item.end_time or item.start_time
    if not seconds:
        return now
    try:
        at = datetime.fromtimestamp(seconds, tz=EPOCH.tzinfo)
    except (ValueError, OverflowError, OSError):
        at = EPOCH
    if not is_plausible(at):
        raise BadLine(f"endTime is {seconds:g}, no time of these two centuries")
    return at


def _finder(metadata: _Metadata, keys: dict[str, Any], tags: object) -> Find:
    """Where labels are looked up. A header stands in one of three places, by the route and the proxy's settings."""
    spend = _mapping(metadata.spend_logs_metadata)
    tags = [tag.partition(": ") for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    headers = {name.lower(): value for name, colon, value in tags if colon}
    headers |= _mapping(_mapping(metadata.requester_metadata).get("headers"))
    headers |= _mapping(metadata.requester_custom_headers)

    def find(name: str) -> str:
        said = keys.get(name) if name in keys else headers.get(name.lower())
        if name.startswith(SPEND):
            said = spend.get(name.removeprefix(SPEND))
        return said if isinstance(said, str) else ""

    return find


def _mapping(said: object) -> dict[str, Any]:
    return said if isinstance(said, dict) else {}


def _searches(tools: object) -> int:
    made = _mapping(tools).get("web_search_requests")
    return made if isinstance(made, int) and 0 <= made <= MOST_SEARCHES else 0


def _is_health_check(item: _Item) -> bool:
    return isinstance(item.request_tags, list) and HEALTH_CHECK in item.request_tags


def _word(said: object) -> str:
    return said if isinstance(said, str) and len(said) <= 20 else ""
