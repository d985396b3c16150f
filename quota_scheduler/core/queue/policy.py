"""How the queue is ordered and offered: every number is configuration."""

from datetime import timedelta

from msgspec import Struct


class QueuePolicy(Struct, frozen=True):
    """How the queue is ordered and offered; every number is configuration."""

    aging_step: timedelta = timedelta(minutes=30)
    fair_share: str = "team"
    claim_within: timedelta = timedelta(minutes=2)
    max_offers: int = 3
    ramp: timedelta = timedelta(seconds=30)
    ramp_step: timedelta = timedelta(milliseconds=50)

    def ramp_for(self, waiting: int) -> timedelta:
        """Over how long the starts of so many tickets are spread after a reset: a step each, up to the whole ramp."""
        return min(self.ramp, (waiting - 1) * self.ramp_step) if waiting > 1 else timedelta(0)
