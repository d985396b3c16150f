"""What metrics have shown already: counters that stand still, and label values that are kept apart."""

from msgspec import Struct


class Shown(Struct, frozen=True):
    """What the metrics of one process remember; with the same memory and readings two show the same.

    ``standing`` are counters whose true sum fell below what was shown, with their labels and what they stand at;
    ``apart`` are the values of each label that are no ``other``.
    """

    standing: tuple[tuple[str, tuple[str, ...], float], ...] = ()
    apart: tuple[tuple[str, tuple[str, ...]], ...] = ()
