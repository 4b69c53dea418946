"""A claimed step of an item at work, and the thread that keeps the claims of this process alive."""

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from statustui.errors import StatustuiError
from statustui.model.items import Claim
from statustui.model.status import ItemStatus
from statustui.pipelines.desk import Desk
from statustui.pipelines.reporting import Reporter, Ticket
from statustui.pipelines.step import StepBlock


class Work(StepBlock):
    """One step of one item that is this worker's alone: ``for work in p.claim("embedding"): with work: …``.

    While the process lives its lease is renewed. Leaving the block ends the step: well, or as failed with the error.
    """

    def __init__(
        self,
        reporter: Reporter,
        keeper: "Keeper",
        claim: Claim,
        *,
        run: str | None = None,
        input_hash: str | None = None,
    ) -> None:
        ticket = Ticket(claim.attempt, claim.fence, claim.claimed)
        super().__init__(reporter, claim.key, claim.step, input_hash=input_hash, ticket=ticket, run=run)
        self._keeper = keeper
        self.claim = claim
        self.attempt = claim.attempt
        self.result: ItemStatus | None = None
        """How it ended: completed, failed, skipped or (given back) pending; None while it is at work."""

    @property
    def key(self) -> str:
        """Of the item."""
        return self.claim.key

    @property
    def step(self) -> str:
        """Key of the step."""
        return self.claim.step

    @property
    def fence(self) -> int:
        """Number of this claim: what is told under an older one changes nothing."""
        return self.claim.fence

    @property
    def tries(self) -> int:
        """Which try this is, from 1."""
        return self.claim.tries

    @property
    def kind(self) -> str | None:
        """What sort of item it is."""
        return self.claim.kind

    @property
    def date(self) -> date | None:
        """The item's own date."""
        return self.claim.date

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What is known of the item."""
        return self.claim.attributes

    @property
    def lost(self) -> bool:
        """True when the claim is over: somebody else may be at work on it, and nothing told from here counts."""
        return self._keeper.lost(self)

    def _end(self, status: ItemStatus, **fields: Any) -> None:
        if not self._ended:
            self.result = status
            self._keeper.drop(self)
        super()._end(status, **fields)


class Keeper:
    """Renews the leases of the claims that this process holds, from a thread that ends when there are none left."""

    def __init__(self, desk: Desk, lease_s: float) -> None:
        self._desk = desk
        self.lease_s = lease_s
        self._held: dict[str, Work] = {}
        self._lost: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def hold(self, works: Iterable[Work]) -> None:
        """Keep these claims from now on."""
        with self._lock:
            self._held.update({work.claim.attempt: work for work in works})
            if self._held and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="statustui-leases", daemon=True)
                self._thread.start()

    def drop(self, work: Work) -> None:
        """This claim is over."""
        with self._lock:
            self._held.pop(work.claim.attempt, None)
            self._lost.discard(work.claim.attempt)

    def lost(self, work: Work) -> bool:
        """Whether the store said that somebody else may have it."""
        return work.claim.attempt in self._lost

    def held(self) -> list[Work]:
        """The claims that are kept now."""
        with self._lock:
            return list(self._held.values())

    def _run(self) -> None:
        from statustui.store.item_claims import renew

        while True:
            time.sleep(self.lease_s / 3)
            with self._lock:
                claims = [work.claim for work in self._held.values()]
                if not claims:
                    self._thread = None
                    return
            try:
                with self._desk.open(settled=False) as store:
                    kept = {claim.attempt for claim in renew(store, claims, self.lease_s)}
            except StatustuiError:
                time.sleep(min(1.0, self.lease_s / 10))  # the next turn tries again; the lease has time for three
                continue
            with self._lock:
                self._lost.update({claim.attempt for claim in claims} - kept)
                for attempt in self._lost:
                    self._held.pop(attempt, None)
