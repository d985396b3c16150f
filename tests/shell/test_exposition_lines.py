"""Lines kept between ticks say what the client library would write, to the byte, in both formats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.metrics.exposition import Format, MetricFamilies, encode
from quota_scheduler.metrics.lines import Lines, written

TEXTS = st.text(st.sampled_from('ab"\\\n ü{},='), max_size=4)
# -0.0 equals 0.0 and is shown as whichever came first: nobody reads a sign there.
VALUES = st.floats().map(lambda value: value + 0.0) | st.integers(-(10**18), 10**18) | st.booleans()
SAMPLES = {
    "quota_usage_ratio": st.tuples(TEXTS),
    "quota_consumed_usd_total": st.tuples(TEXTS, TEXTS, TEXTS),
    "quota_scheduler_snapshot_timestamp_seconds": st.just(()),
}
SNAPSHOTS = st.fixed_dictionaries(
    {},
    optional={
        name: st.dictionaries(labels, VALUES, min_size=1, max_size=4).map(lambda each: list(each.items()))
        for name, labels in SAMPLES.items()
    },
)


@given(st.lists(SNAPSHOTS, min_size=1, max_size=4))
def test_one_snapshot_after_another(snapshots):
    lines = Lines()
    for samples in snapshots:
        found = written(samples, lines)
        for form in Format:
            assert found.encoded(form) == encode(MetricFamilies(tuple(found.collect())), form)


@pytest.mark.parametrize("form", Format)
def test_what_was_written_stays_when_the_next_one_differs(form):
    lines = Lines()
    first = written({"quota_usage_ratio": [(("daily",), 0.5)]}, lines)
    before = first.encoded(form)
    written({"quota_usage_ratio": [(("daily",), 0.75)]}, lines)
    assert first.encoded(form) == before
    assert b'quota_usage_ratio{limit="daily"} 0.5\n' in before
