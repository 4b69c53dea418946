"""Log records as events of the run: ``logging.getLogger().addHandler(statustui.contrib.logging.Handler())``.

A warning or an error is an event with its traceback, and counts in the run's metrics ``log_errors`` or
``log_warnings``; the last error is shown beside the run. None of them ends it. Records are recorded while a run is open
(or the program was started by ``statustui run``). Of what comes too fast, the number is told in an event.
"""

import logging
import os
import sys
import time
from typing import TYPE_CHECKING

from statustui.contrib.joining import active
from statustui.model import values
from statustui.record import border, ends, state

if TYPE_CHECKING:
    from statustui.record.run import Run

__all__ = ["Handler"]

_KINDS = ((logging.CRITICAL, "critical"), (logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "log"))
_TRACEBACK = "\nTraceback (most recent call last):\n"
_TELL_S = 1.0
_MESSAGE = 2_000


class _Bucket:
    """Lets a burst through, then so many a second."""

    __slots__ = ("burst", "dropped", "left", "rate", "since")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = max(1.0, burst)
        self.left = self.burst
        self.since = time.monotonic()
        self.dropped = 0

    def take(self) -> bool:
        now = time.monotonic()
        self.left = min(self.burst, self.left + (now - self.since) * self.rate)
        self.since = now
        if self.left >= 1.0:
            self.left -= 1.0
            return True
        self.dropped += 1
        return False


class Handler(logging.Handler):
    """Records become events of the run that is open where they are made.

    With a formatter its text is the event's; else that is ``name: message``. It may be the target of a
    ``QueueListener``. It never raises, never prints, and takes no record of statustui's own logger.

    Args:
        level: records below it are passed over.
        run: the run to record in; None = the one that is open.
        rate: records a second that are kept in the long run; warnings and errors have their own.
        burst: records that are kept at once before the rate counts.
    """

    def __init__(
        self, level: int | str = logging.INFO, run: "Run | None" = None, *, rate: float = 1.0, burst: int = 100
    ) -> None:
        super().__init__(level)
        self._run = run
        self._low = _Bucket(rate, burst)
        self._high = _Bucket(rate, burst)
        self._inside = 0  # pid of the process that is in emit(): a fork may copy it set
        self._begin(None)
        state.watchers.append(self._look)

    def _begin(self, run: "Run | None") -> None:
        """Count for a run."""
        self._of = run
        self._counts = {"log_errors": 0, "log_warnings": 0}
        self._told = dict(self._counts)
        self._tell_at = 0.0
        self._said: str | None = None
        self._pid = os.getpid()

    def _after_fork(self) -> None:
        """In a forked worker what the parent has counted is the parent's to tell."""
        if self._pid != os.getpid():
            self._begin(None)
            self._low.dropped = self._high.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Record it."""
        pid = os.getpid()
        if self._inside == pid or record.name == "statustui" or record.name.startswith("statustui."):
            return  # what recording itself says: never a loop
        self._inside = pid
        try:
            self._record(record)
        except Exception as error:
            if not border.strict:
                border.swallow(error, "log record")
            else:
                raise
        finally:
            self._inside = 0

    def _record(self, record: logging.LogRecord) -> None:
        self._after_fork()
        run = self._run if self._run else active()
        if run is None or run._session is None:
            return
        if run is not self._of:
            self._tell()
            self._begin(run)
        high = record.levelno >= logging.WARNING
        if high:
            self._counts["log_errors" if record.levelno >= logging.ERROR else "log_warnings"] += 1
        bucket = self._high if high else self._low
        if not bucket.take():
            return
        if bucket.dropped:
            self._tell_dropped(run, bucket)
        message, detail = self._words(record)
        kind = next((word for level, word in _KINDS if record.levelno >= level), "debug")
        fields = {"kind": kind, "message": run._session.text(message)}
        if detail:
            name = record.exc_info[0] if isinstance(record.exc_info, tuple) else None
            fields["fingerprint"] = self._fingerprint(name, record.exc_info, detail)
            fields["detail"] = run._session.text(f"{detail}\nfingerprint {fields['fingerprint']}")
        run._session.fact("event", run.run_id, **fields)
        if record.levelno >= logging.ERROR and not run._foreign:
            self._mark(run, message)
        if time.monotonic() >= self._tell_at:
            self._tell()

    def _words(self, record: logging.LogRecord) -> tuple[str, str | None]:
        """The text of a record, and its traceback."""
        if self.formatter is not None:
            text = self.format(record)
        else:
            text = record.getMessage()
            text = text if record.name == "root" else f"{record.name}: {text}"
        text, found, trace = text.partition(_TRACEBACK)  # a formatter, or a QueueHandler, has put it in
        if record.exc_info and isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            return text, ends.detail_of(record.exc_info[1])
        if found:
            return text, _TRACEBACK.lstrip() + trace
        return text, record.exc_text or record.stack_info or None

    def _fingerprint(self, kind: object, info: object, detail: str) -> str:
        from statustui.model.fingerprint import fingerprint

        error = info[1] if isinstance(info, tuple) else None
        if isinstance(error, BaseException):
            return fingerprint(ends.type_name(error), ends.message_of(error))
        last = detail.rstrip().rpartition("\n")[2]
        name, colon, message = last.partition(": ")
        return fingerprint(name, message if colon else "")

    def _mark(self, run: "Run", message: str) -> None:
        """The last error beside the run, unless the program says something there itself."""
        if run.message is not None and run.message != self._said:
            return
        number = self._counts["log_errors"]
        self._said = values.text(f"{number:,} error{'' if number == 1 else 's'} logged, last: {message}", _MESSAGE)
        run.message = self._said

    def _tell_dropped(self, run: "Run", bucket: _Bucket) -> None:
        dropped, bucket.dropped = bucket.dropped, 0
        what = "warnings and errors" if bucket is self._high else "log records"
        if run._session is not None:
            told = f"{dropped:,} more {what} came too fast and were not recorded"
            run._session.fact("event", run.run_id, kind="dropped", message=told)

    def _tell(self, *, all_of_it: bool = False) -> None:
        """Tell the counts that have changed."""
        self._after_fork()
        self._tell_at = time.monotonic() + _TELL_S
        run = self._of
        if run is None or run._session is None:
            return
        for bucket in (self._low, self._high) if all_of_it or run._state != "open" else ():
            if bucket.dropped:
                self._tell_dropped(run, bucket)
        if not run._foreign:
            for name, number in self._counts.items():
                if number != self._told[name]:
                    self._told[name] = number
                    run._session.writer.fact("metric", run.run_id, name=name, value=number)

    def _look(self) -> None:
        """Twice a second, and at exit: tell what has been held back."""
        run = self._of
        if run is None or (time.monotonic() < self._tell_at and run._state == "open") or not self._free():
            return
        try:
            self._tell()
        finally:
            self.release()

    def _free(self) -> bool:
        """Take the handler's lock if nobody has it: the timer never waits for a program."""
        return self.lock is None or self.lock.acquire(blocking=False)

    def flush(self) -> None:
        """Tell what has been held back."""
        if sys.is_finalizing() or not self._free():
            return
        try:
            self._tell(all_of_it=True)
        except Exception as error:
            border.swallow(error, "log handler")
        finally:
            self.release()

    def close(self) -> None:
        """Tell what has been held back, and end."""
        self.flush()
        if self._look in state.watchers:
            state.watchers.remove(self._look)
        super().close()
