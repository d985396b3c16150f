"""What metrics remember is a value: two that remember the same are equal."""

from quota_scheduler.core.replicas.shown import Shown


def test_two_that_remember_the_same_are_equal():
    one = Shown((("quota_unpriced_tokens_total", ("anthropic",), 3.0),), (("provider", ("anthropic",)),))
    assert one == Shown(one.standing, one.apart) != Shown()
