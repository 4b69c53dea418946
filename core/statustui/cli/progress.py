"""A progress bar on standard error, for commands that take their time: drawn at most ten times a second."""

import sys
import time

from statustui.cli import figures
from statustui.cli.session import Session

_EVERY_S = 0.1


class ProgressBar:
    """``████░░ 45,000 of 100,000 rows  31,000/s  2s left``; silent without a terminal and with ``--json``."""

    def __init__(self, session: Session, unit: str) -> None:
        """Draw nothing yet.

        Args:
            session: the call.
            unit: what is counted.
        """
        self._on = sys.stderr.isatty() and not session.as_json
        self._ascii = session.out.ascii
        self._unit = unit
        self._began = time.monotonic()
        self._due = 0.0
        self._drawn = False

    def show(self, count: int, fraction: float | None, total: int | None = None, *, last: bool = False) -> None:
        """Draw how far it is.

        Args:
            count: things done.
            fraction: share done, 0..1; None where that is not known.
            total: things in all, where that is known.
            last: True draws it whenever it was drawn last.
        """
        now = time.monotonic()
        if not self._on or (now < self._due and not last):
            return
        self._due = now + _EVERY_S
        spent = max(0.001, now - self._began)
        parts = [f"{count:,}{f' of {total:,}' if total is not None else ''} {self._unit}", f"{count / spent:,.0f}/s"]
        if fraction is not None:
            fraction = min(1.0, max(0.0, fraction))
            parts.insert(0, figures.bar(fraction, 30, self._ascii))
            if 0 < fraction < 1 and spent > 1:
                parts.append(f"{figures.rough(spent * (1 - fraction) / fraction)} left")
        sys.stderr.write("\r" + "  ".join(parts) + "\x1b[K")
        sys.stderr.flush()
        self._drawn = True

    def close(self) -> None:
        """End the line, where one was begun."""
        if self._drawn:
            sys.stderr.write("\n")
            self._drawn = False
