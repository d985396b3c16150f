"""A history as bytes and back, exact to the bit: what a service keeps of its histories for the next start.

how many arrays differ, how many hours have demand that could not run │ which array each history is │
their lengths │ demand: hour, amount by rank                                          int64, little-endian
then each different array once: hours since 1970 (int64), and usage (float64)
"""

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.histories import HOUR_SECONDS, UsageHistory
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.priority import CLASSES

_WHOLE, _USAGE = "<i8", "<f8"
_HISTORIES = 1 + len(CLASSES)
"""All, and what lies above each class."""


def pack(history: UsageHistory) -> bytes:
    """Return a history as bytes; classes that share an array go on sharing it."""
    histories = (history.all, *history.above)
    different = list({id(buckets): buckets for buckets in histories}.values())
    places = [next(n for n, one in enumerate(different) if one is buckets) for buckets in histories]
    lengths = [buckets.starts.size for buckets in different]
    demand = [[int(at) // HOUR_SECONDS, *amounts] for at, amounts in sorted(history.unmet.items())]
    head = [len(different), len(demand), *places, *lengths, *(number for row in demand for number in row)]
    arrays = (
        part
        for buckets in different
        for part in ((buckets.starts // HOUR_SECONDS).astype(_WHOLE), buckets.values.astype(_USAGE))
    )
    return b"".join(array.tobytes() for array in (np.array(head, _WHOLE), *arrays))


def unpack(body: bytes) -> UsageHistory:
    """Return the history that ``pack`` made these bytes of. Raises ValueError or IndexError for any others."""
    numbers = np.frombuffer(body, _WHOLE)
    if numbers.size < 2 + _HISTORIES:
        raise ValueError(f"{len(body)} bytes are no history")
    arrays, demands = numbers[:2].tolist()
    places, lengths, rows, rest = np.split(
        numbers[2:], np.cumsum([_HISTORIES, arrays, demands * (1 + len(CLASSES))]).tolist()
    )
    if rest.size != 2 * lengths.sum():
        raise ValueError(f"{len(body)} bytes are not the history that they begin as")
    different, at = [], 0
    for length in lengths.tolist():
        hours, usage = rest[at : at + length], rest[at + length : at + 2 * length].view(_USAGE)
        different.append(Buckets(hours.astype(np.float64) * HOUR_SECONDS, usage.astype(np.float64)))
        at += 2 * length
    everything, *above = (different[place] for place in places.tolist())
    unmet = {float(hour * HOUR_SECONDS): amounts for hour, *amounts in rows.reshape(-1, 1 + len(CLASSES)).tolist()}
    return UsageHistory(everything, above, unmet)
