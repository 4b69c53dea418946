"""Durations by logarithmic buckets: quantiles within 5 % from a few hundred counts that can be added up.

A histogram is one whole number with 32 bits for each bucket, so that adding a thousand of them is a thousand additions.
"""

import math
import struct
from collections.abc import Iterable, Mapping

BASE = 1.1
"""Each bucket ends this many times later than the one before: its middle is within 5 % of all that lies in it."""
FIRST_S = 0.001
"""What is shorter counts as this long, in seconds."""
BUCKETS = 256
"""The last one ends after more than a year."""
_BITS = 32
_LOG = math.log(BASE)


def bucket(seconds: float) -> int:
    """Number of the bucket in which a duration lies."""
    if not seconds > FIRST_S:
        return 0
    return min(BUCKETS - 1, math.ceil(math.log(min(seconds, 1e12) / FIRST_S) / _LOG - 1e-9))


def middle(number: int) -> float:
    """The duration in seconds that stands for all in a bucket: its geometric middle."""
    return FIRST_S if number == 0 else float(FIRST_S * BASE ** (number - 0.5))


def one(number: int, times: int = 1) -> int:
    """A histogram that holds a bucket *times* times (or takes it out, where that is negative)."""
    return times << (_BITS * number)


def total(counts: Mapping[int, int]) -> int:
    """Counts by bucket as a histogram."""
    return sum(one(number, times) for number, times in counts.items())


def pack(histogram: int) -> bytes | None:
    """A histogram as bytes; None for an empty one."""
    if histogram <= 0:
        return None
    return histogram.to_bytes((histogram.bit_length() + _BITS - 1) // _BITS * (_BITS // 8), "little")


def unpack(packed: bytes | None) -> int:
    """What ``pack`` packed."""
    return int.from_bytes(packed, "little") if packed else 0


def counts(histogram: int) -> dict[int, int]:
    """Counts by bucket, those that are not 0."""
    packed = pack(histogram)
    if packed is None:
        return {}
    lanes = struct.unpack(f"<{len(packed) // 4}I", packed)
    return {number: n for number, n in enumerate(lanes) if n}


def add(packed: bytes | None, changes: Mapping[int, int]) -> bytes | None:
    """A packed histogram with *changes* added; no bucket falls below 0."""
    found = counts(unpack(packed))
    for number, change in changes.items():
        found[number] = max(0, found.get(number, 0) + change)
    return pack(total(found))


def quantiles(found: Mapping[int, int], shares: Iterable[float]) -> tuple[float | None, ...]:
    """Durations in seconds below which these shares (0..1) of all lie; None where there are none.

    Args:
        found: counts by bucket, in order.
        shares: which.
    """
    number_of = sum(found.values())
    result: list[float | None] = []
    for share in shares:
        left = max(1, math.ceil(share * number_of))
        at: float | None = None
        for number, n in found.items():
            at = middle(number)
            left -= n
            if left <= 0:
                break
        result.append(at)
    return tuple(result)
