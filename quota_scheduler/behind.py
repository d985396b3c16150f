"""What is not known yet where it counts: first passes over sources, and sessions that are put in their place."""

from msgspec.structs import replace

from quota_scheduler.health import Health
from quota_scheduler.parts import Parts
from quota_scheduler.service.ingest import Ingest

TICK = "the tick"


def providers(parts: Parts) -> frozenset[str]:
    """The providers of whose usage that is so."""
    sources = {ingest.provider for ingest in parts.ingests if ingest.progress.catching_up}
    return parts.chaining.providers | sources


def wait(parts: Parts) -> None:
    """Let work of these providers wait that can."""
    behind = providers(parts)
    parts.writer.change_terms(
        lambda terms: terms if terms.catching_up == behind else replace(terms, catching_up=behind)
    )


def comes_first(parts: Parts) -> bool:
    """Whether nothing is computed before it is known."""
    return parts.chaining.comes_first or any(ingest.progress.catching_up for ingest in parts.ingests)


def note(parts: Parts, health: Health) -> None:
    """Say that it works as long as it gets further: it takes its time."""
    health.done(TICK)
    for ingest in parts.ingests:
        if ingest.progress.catching_up:
            health.further(reading(ingest), (ingest.progress.files, ingest.progress.done_bytes))


def reading(ingest: Ingest) -> str:
    """What the pass over a source is called where it does not work."""
    return f"reading {ingest.name}"
