"""The thresholds that levels and one policy go by; every one is configuration (docs/reference/config.md)."""

from msgspec import Struct


class Thresholds(Struct, frozen=True):
    """What levels, bands and the policy ``fixed-thresholds`` compare with. Defaults are the founding documents'.

    Shares are 0-1. ``risk_*``: the 80th percentile at the reset over the amount from which risk is in that band.
    ``optimization_*``: headroom over amount at or below which runners are asked for that level. ``fixed_normal``: used
    share from which the policy lets normal work wait; ``fixed_stop``: from which all automation waits.
    ``spike_factor``: a day is a spike above so many times what is usual by then.
    """

    risk_medium: float = 0.70
    risk_high: float = 0.85
    risk_critical: float = 0.95
    optimization_balanced: float = 0.60
    optimization_aggressive: float = 0.30
    optimization_emergency: float = 0.10
    fixed_normal: float = 0.80
    fixed_stop: float = 0.90
    spike_factor: float = 2.0


DEFAULT = Thresholds()
