"""What the log of a run says of its bad end, where nobody else can say it: the process is gone."""

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from statustui.control import tail
from statustui.drain.lookout import Ending
from statustui.drain.runs import OpenRun
from statustui.model.fingerprint import fingerprint
from statustui.model.redact import redact
from statustui.model.status import RunStatus

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.store.apply import Death


class LastWords:
    """Adds the last lines of the log, redacted, to what the store is told of an end."""

    def __init__(self, settings: "Settings") -> None:
        self._secrets: list[re.Pattern[str]] = []
        for pattern in settings.redact:
            with suppress(re.error):  # doctor tells of it
                self._secrets.append(re.compile(pattern))

    def of(self, ending: Ending) -> "Death":
        """What the store is told; a failure's message is the line of the log that says most about it."""
        death, run = ending.death(), ending.run
        if ending.verdict.status not in (RunStatus.FAILED, RunStatus.LOST) or ending.log_end is None:
            return death
        assert run.log_path is not None
        said = tail.last_lines(run.log_path, run.log_start or 0, ending.log_end, inode=run.log_inode)
        lines = [redact(line, self._secrets) for line in said]
        error = self._error(run, ending.verdict.reason, lines) if ending.verdict.status is RunStatus.FAILED else None
        return replace(death, log_tail=tuple(lines), error=error)

    def _error(self, run: OpenRun, said: str, lines: list[str]) -> dict[str, Any]:
        message = tail.telling(lines) or said
        # A bare exit status is no kind of failure that tasks could share.
        place = run.run_id if message == said else None
        return {"type": said, "message": message, "fingerprint": fingerprint(said, message, place)}
