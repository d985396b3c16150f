"""The thresholds that levels and the seed policy go by; every one is configuration (docs/reference/config.md)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Shares are 0-1. Defaults are those of the founding documents.

    ``risk_*``: the 80th percentile at the reset over the amount from which risk is in that band. ``optimization_*``:
    headroom over amount at or below which runners are asked for that level. ``seed_normal``: usage from which the seed
    policy lets normal work wait; ``seed_stop``: where its automation stops. ``spike_factor``: times the usual by now.
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
