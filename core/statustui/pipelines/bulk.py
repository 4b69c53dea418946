"""Facts that are brought in by the thousand, with times of their own: migrations, reconciliations.

They go into the store as a journal would bring them, but without its file: what is cut off in the middle is brought in
by running the same thing again, since none of these changes anything the second time.
"""

import time
from types import TracebackType
from typing import Any, Self

from statustui.journal.identity import describe
from statustui.model.ids import new_id
from statustui.pipelines.desk import Desk, host_of
from statustui.pipelines.reporting import Reporter, described
from statustui.store import item_clock
from statustui.store.apply import Batch, JournalBatch, apply

_AT_ONCE = 5_000


class Bulk:
    """``with Bulk(...) as bulk: bulk.fact("item.add", key, at, …)``; applied in batches, the rest at the end."""

    def __init__(self, desk: Desk, reporter: Reporter) -> None:
        self._desk = desk
        self._reporter = reporter
        self._journal = new_id()
        self._lines: list[tuple[int, int, dict[str, Any]]] = []
        self._offset = 0
        self._m = time.monotonic()
        self._writer: dict[str, Any] = {
            "k": "writer",
            "v": 1,
            "journal": self._journal,
            "lang": "python",
            "role": "program",
            "t": time.time(),
            "m": self._m,
            **describe(),
        }
        self.facts = 0
        """How many were given."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._offset:
            self._append({"k": "close"})
            self.flush()

    def fact(self, kind: str, key: str, at: float, /, **fields: Any) -> None:
        """One fact.

        Args:
            kind: as in a journal.
            key: of the item.
            at: when it happened, in epoch seconds.
            fields: its other fields; those that are None are left out.
        """
        if not self._offset:
            definition = self._reporter.definition
            self._append(self._writer)
            self._append({"k": "pipeline", "name": definition.name, "steps": described(definition), "t": time.time()})
        told = {name: value for name, value in fields.items() if value is not None}
        self._append({"k": kind, "p": self._reporter.definition.name, "key": key, "t": at, **told})
        self.facts += 1
        if len(self._lines) >= _AT_ONCE:
            self.flush()

    def _append(self, record: dict[str, Any]) -> None:
        self._m += 1e-6
        self._lines.append((self._offset, self._offset + 1, {"m": self._m, **record}))
        self._offset += 1

    def flush(self) -> None:
        """Apply what was given so far, in one transaction.

        Raises:
            StoreUnavailable: the store can not be reached; nothing of it was applied.
        """
        if not self._lines:
            return
        with self._desk.open() as store:
            offset = item_clock.offset(store)
            # These times are of no host's clock: what applying adds is taken off first.
            lines = tuple(
                (at, then, {**record, "t": record["t"] - offset} if offset and "t" in record else record)
                for at, then, record in self._lines
            )
            batch = JournalBatch(journal=self._journal, writer=self._writer, acked=lines[0][0], lines=lines)
            session = self._reporter.session
            assert session is not None  # the desk would not have opened
            apply(store, Batch(host=host_of(session.spool), journals=(batch,)))
        self._lines.clear()
