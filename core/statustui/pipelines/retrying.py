"""When a failed step may be tried again. Pure."""

import hashlib
from dataclasses import dataclass

from statustui.model.items import Failure

MAX_RETRIES = 3
"""Attempts after the first that a step may have, where nobody says otherwise."""


def may_retry(failure: Failure, max_retries: int = MAX_RETRIES) -> bool:
    """Whether a failed step is eligible: its error is not permanent, and retries are left."""
    most = failure.max_retries if failure.max_retries is not None else max_retries
    return not failure.permanent and failure.retries < most


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """How long a failed step rests before its next try; a permanent error is never tried again."""

    delays_s: tuple[float, ...] = (60.0, 300.0, 900.0)
    """After the first failure, the second, and so on; the last one stands for all later ones."""
    jitter: float = 0.2
    """Share by which a delay is longer or shorter, so that what failed together is not tried together."""

    def delay_s(self, tries: int, seed: str) -> float:
        """Seconds between the end of a try and the next one.

        Args:
            tries: tries made so far, from 1.
            seed: of the item and its step; the same one gives the same jitter on every host.
        """
        if not self.delays_s:
            return 0.0
        base = self.delays_s[min(max(tries, 1), len(self.delays_s)) - 1]
        # Nothing random: whether a step is due must not depend on who asks.
        digest = hashlib.blake2b(f"{seed} {tries}".encode(), digest_size=4).digest()
        share = int.from_bytes(digest) / 0xFFFFFFFF
        return base * (1.0 + self.jitter * (2.0 * share - 1.0))

    def due_at(self, failure: Failure) -> float:
        """From when on a failed step may be tried again, in epoch seconds."""
        return failure.at.timestamp() + self.delay_s(failure.tries, f"{failure.key} {failure.step.key}")
