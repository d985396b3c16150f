"""How the queue is ordered and offered."""

from datetime import timedelta

from quota_scheduler.core.queue.policy import QueuePolicy
from tests.builders import MINUTE


def test_what_nobody_configured():
    assert QueuePolicy() == QueuePolicy(
        30 * MINUTE, "team", 2 * MINUTE, 3, timedelta(seconds=30), timedelta(seconds=0.05)
    )
