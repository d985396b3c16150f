"""Terms are read again when somebody has moved them, when their time is over, and when a reading came to nothing."""

import pytest
from msgspec.structs import replace

from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.service.reread import Rereading
from quota_scheduler.store import turns
from tests.builders import a_limit


@pytest.mark.parametrize(
    ("moved", "is_over", "lost", "readings"),
    [
        pytest.param(False, False, False, [0, 0, 0], id="nothing has happened"),
        pytest.param(True, False, False, [1, 1, 1], id="somebody has moved them"),
        pytest.param(False, True, False, [1, 1, 1], id="their time is over"),
        pytest.param(True, False, True, [1, 2, 2], id="moved, and the transaction came to nothing"),
        pytest.param(False, True, True, [1, 2, 2], id="over, and the transaction came to nothing"),
    ],
)
def test_terms_are_read_again_as_often_as_need_be(world, moved, is_over, lost, readings):
    here, read = world(a_limit()), []
    over = [is_over]

    def reread(_tx, terms):
        read.append(terms)
        over[0] = False
        return replace(terms, hold=True)

    with here.store.transaction() as tx:
        following = Rereading(reread, lambda _: over[0], as_of=turns.look(tx))
        if moved:
            turns.terms_moved(tx)
    counts = []
    for number in range(3):
        with here.store.transaction() as tx:
            terms = following.follow(tx, Terms(here.limits))
        assert terms.hold == (len(read) > (counts[-1] if counts else 0))
        counts.append(len(read))
        if lost and not number:
            following.lost()
    assert counts == readings


@pytest.mark.parametrize("in_force", [True, False])
def test_what_a_process_has_changed_itself_is_read_again_only_where_it_did_not_put_it_in_force(world, in_force):
    here, read = world(a_limit()), []

    def reread(_tx, terms):
        read.append(terms)
        return terms

    with here.store.transaction() as tx:
        following = Rereading(reread, lambda _: False, as_of=turns.look(tx))
        turns.terms_moved(tx)
        following.wrote(tx, in_force=in_force)
    with here.store.transaction() as tx:
        following.follow(tx, Terms(here.limits))
    assert len(read) == (0 if in_force else 1)
