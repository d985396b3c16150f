"""Whether a service takes work, and what an operator should know although it does: ``/readyz``, in sentences."""

import time
from collections.abc import Collection

from quota_scheduler.core.readings.refusing import refusing, sentence
from quota_scheduler.errors import first_line
from quota_scheduler.runtime import Service

FIRST_PASS_SECONDS = 2.0
"""How long a start waits for its first look at the sources: where little is to be read it takes a tenth of that."""


def problems(service: Service) -> list[str]:
    """Why no work is taken, one sentence each; asks the database."""
    parts = service.parts
    sentences = ["the service is stopping"] if service.draining else []
    sentences += _database(service)
    sentences += _nothing_to_show(service) + _first_pass(service)
    sentences += [f"reading {one.name}: {one.progress.problem}" for one in parts.ingests if one.progress.problem]
    sentences += [parts.chaining.problem] if parts.chaining.comes_first else []
    sentences += [parts.following.problem] if parts.following.problem else []
    sentences += [f"messages: {parts.deliverer.problem}"] if parts.deliverer.problem else []
    return sentences + service.health.problems()


def notes(service: Service) -> list[str]:
    """What an operator should know although work is taken."""
    parts, now = service.parts, service.store.clock()
    sentences = [f"{ingest.name} is catching up" for ingest in parts.ingests if ingest.progress.catching_up]
    sentences += [parts.chaining.problem] if parts.chaining.is_due and not parts.chaining.comes_first else []
    sentences += [sentence(breaker, now) for breaker in refusing(service.readings.breakers, now)]
    sentences += parts.notifier.problems(wait=False)
    sentences += [] if service.config.receivers else ["no receiver is configured: alerts reach nobody"]
    return sentences + ([parts.prices.problem] if parts.prices.problem else [])


def _database(service: Service) -> list[str]:
    sentences, metrics = [], service.parts.metrics
    try:
        with service.store.reading() as tx:
            tx.scalar("SELECT 1")
        metrics.database_checked(up=True)
    except Exception as error:
        metrics.database_checked(up=False)
        sentences.append(f"the database does not answer: {first_line(error)}")
    if service.store.is_replaced():
        sentences.append("the database file was removed or replaced: restart the service")
    return sentences


def _nothing_to_show(service: Service) -> list[str]:
    """Why a replica that has just begun takes no work yet: it has no readings, and does not make them."""
    makes_them = service.leads and any(one.progress.catching_up for one in service.parts.ingests)
    if service.leading.is_alone or service.has_readings or makes_them:
        return []
    return ["no limit has been read yet: the first readings of the leader are waited for"]


def _first_pass(service: Service) -> list[str]:
    """A short first pass is waited for: until it is over nothing starts but what people ask for."""
    behind = service.writer.terms.catching_up
    if not behind or time.monotonic() - service.begun > FIRST_PASS_SECONDS:
        return []
    return [first_pass_sentence(behind)]


def first_pass_sentence(providers: Collection[str]) -> str:
    """Whose usage is being read; the provider of agents that call several is empty."""
    named = [*sorted(filter(None, providers)), *(["agents that call several providers"] if "" in providers else [])]
    return f"usage of {', '.join(named)} is being read for the first time"
