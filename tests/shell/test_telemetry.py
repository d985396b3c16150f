"""Ids of spans: a ticket's root has those that every replica makes of it, and nobody else has them."""

from concurrent.futures import ThreadPoolExecutor

from opentelemetry.trace import SpanContext

from quota_scheduler.telemetry import Ids

ROOT = SpanContext(trace_id=7, span_id=9, is_remote=True)


def ids_of(ids: Ids) -> tuple[int, int]:
    return ids.generate_trace_id(), ids.generate_span_id()


def test_the_root_of_a_ticket_has_the_ids_that_are_given():
    ids = Ids()
    with ids.of(ROOT):
        assert ids_of(ids) == (7, 9)
    assert ids_of(ids) != (7, 9)


def test_a_span_that_another_thread_begins_meanwhile_has_its_own():
    ids = Ids()
    with ids.of(ROOT), ThreadPoolExecutor(1) as another:
        trace, span = another.submit(ids_of, ids).result()
    assert trace != 7
    assert span != 9
