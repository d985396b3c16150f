"""Points of metrics that count tokens, by the rules of each program: which types overlap, and which repeat others."""

from typing import NamedTuple

from quota_scheduler.core.ledger.metered import Weights
from quota_scheduler.core.usage import PriceTerms, price_terms
from quota_scheduler.sources.otlp import claude_code, codex, gemini, genai
from quota_scheduler.sources.otlp.calls import CLAUDE_CODE, CODEX, GEMINI, GENAI, QWEN, program_of
from quota_scheduler.sources.otlp.records import Attributes, Point, text
from quota_scheduler.sources.records import BadLine

METRICS = {
    claude_code.METRIC: (CLAUDE_CODE, claude_code.KINDS, "type"),
    codex.METRIC: (CODEX, codex.KINDS, "token_type"),
    gemini.METRIC: (GEMINI, gemini.KINDS, "type"),
    genai.METRIC: (GENAI, genai.KINDS, "gen_ai.token.type"),
}
"""By metric: whose it is, what each type adds to the five kinds, and the attribute that names the type."""
COUNTING = "input"
"""Histograms count one record of this type for each call."""
MOST_TOKENS = 10**13
"""A series that stands above is garbled: ten thousand times the largest fleet's day."""


class CountedPoint(NamedTuple):
    """What a point is of."""

    program: str
    type: str
    provider: str
    model: str
    session: str
    weights: Weights
    terms: PriceTerms
    value: int
    calls: int | None


def part_of(point: Point) -> CountedPoint | None:
    """What a point tells; None for sums of others and twins of another metric. Raises BadLine."""
    program, kinds, type_name = METRICS[point.metric]
    service = program_of(point.resource)
    if program == GENAI and service in (GEMINI, QWEN, CODEX, CLAUDE_CODE):
        return None  # they tell the same by a metric of their own
    kind = text(point.attributes, type_name)
    weights = kinds.get(kind)
    if weights is None:
        return None
    if not 0 <= point.value <= MOST_TOKENS:
        raise BadLine(f"{point.metric} is {point.value:g}, no number of tokens")
    facts: Attributes = {**point.resource, **point.attributes}
    model = text(facts, "model", *genai.MODEL)
    provider = {CLAUDE_CODE: claude_code.PROVIDER, CODEX: codex.PROVIDER, GEMINI: gemini.PROVIDERS[GEMINI]}.get(program)
    return CountedPoint(
        service if program == GENAI else program,
        kind,
        provider or genai.provider_of(facts, model),
        model,
        text(facts, *genai.SESSION),
        weights,
        price_terms(speed=text(facts, "speed")[:20]),
        round(point.value),
        0 if point.calls is not None and kind != COUNTING else point.calls,
    )
