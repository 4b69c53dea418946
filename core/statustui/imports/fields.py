"""What the columns of a run history mean, and what their values say."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any

from statustui.errors import StatustuiError
from statustui.model import clean
from statustui.model.fingerprint import fingerprint
from statustui.model.redact import redact, redact_argv
from statustui.model.stage import DEFAULT_PREFIXES, stage_of
from statustui.model.status import RunStatus
from statustui.store.history import Past

FIELDS: Mapping[str, tuple[str, ...]] = {
    "task": ("task", "task_name", "job", "job_name", "name", "script", "script_name", "script_file", "dag_id", "flow",
             "pipeline", "process", "program"),
    "started_at": ("started_at", "started", "start", "start_time", "start_date", "begin", "began_at", "begin_time",
                   "execution_start", "time_started", "from"),
    "ended_at": ("ended_at", "ended", "end", "end_time", "end_date", "finish", "finished_at", "finish_time",
                 "completed_at", "stopped_at", "execution_end", "time_ended", "to"),
    "status": ("status", "state", "result", "outcome", "execution_status", "conclusion"),
    "duration_s": ("duration_s", "duration", "duration_seconds", "elapsed", "elapsed_s", "seconds", "runtime"),
    "exit_code": ("exit_code", "exitcode", "exit_status", "return_code", "returncode", "exitval", "rc"),
    "host": ("host", "hostname", "host_name", "server", "node", "machine"),
    "user": ("user", "user_name", "username", "owner", "run_as"),
    "stage": ("stage", "task_stage", "group", "category"),
    "type": ("type", "task_type", "language"),
    "args": ("args", "arguments", "argv", "command", "command_line"),
    "attempt": ("attempt", "try", "try_number"),
    "error": ("error", "error_message", "exception", "failure", "reason"),
    "error_type": ("error_type", "exception_type"),
    "message": ("message", "msg", "overall_message", "overall_progress_message", "note", "comment"),
    "run_id": ("run_id", "run_uuid", "uuid"),
    "retry_of": ("retry_of",),
    "id": ("id", "execution_id", "job_id", "task_id", "number"),
}  # fmt: skip
"""Field → names that columns have, the likeliest first; letter case, spaces, dots and dashes do not count."""
NEEDED = ("task", "started_at")

_WORDS = {
    "finished": ("ok", "succeeded", "successful", "pass", "passed", "done", "complete", "good", "0"),
    "failed": ("error", "errored", "fail", "broken", "crashed", "killed", "timeout", "timed_out", "timed out", "bad",
               "unsuccessful", "1"),
    "cancelled": ("aborted", "abort", "terminated", "stopped", "interrupted", "revoked", "cancel"),
    "lost": ("unknown", "vanished", "zombie"),
}  # fmt: skip
_STATUSES = {word: RunStatus(status) for status, words in _WORDS.items() for word in words}
_EARLIEST, _LATEST = 0.0, 4_102_444_800.0  # 1970 … 2100


def listed(names: Sequence[str], most: int = 30) -> str:
    """Names of columns for one line: not more of them, nor longer, than a person reads."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(name if len(name) <= 60 else f"{name[:59]}…" for name in names[:most]) + more


class BadMap(StatustuiError):
    """What ``--map`` or the columns say makes no sense."""


class BadRow(ValueError):
    """A row that is no run that is over; the message says why."""


class Columns:
    """Which column holds which field."""

    def __init__(self, given: Mapping[str, str]) -> None:
        """Look at what ``--map`` says.

        Args:
            given: field → name of its column.

        Raises:
            BadMap: there is no such field.
        """
        for field in given:
            if field not in FIELDS:
                raise BadMap(f"--map {field}=…: there is no field {field!r}; there are {', '.join(FIELDS)}")
        self._given = dict(given)
        self.unknown: dict[str, None] = {}
        """Columns that mean nothing here, in their order."""

    def place(self, names: Sequence[str]) -> list[str | None]:
        """The column of each field, in the order of ``FIELDS``.

        Raises:
            BadMap: a column that is needed, or was named, is not there.
        """
        plain: dict[str, str] = {}
        for name in names:
            plain.setdefault(_plain(name), name)
        found: dict[str, str] = {}
        for field, column in self._given.items():
            if column not in names and _plain(column) not in plain:
                raise BadMap(f"there is no column {column!r}; there are {listed(names)}")
            found[field] = column if column in names else plain[_plain(column)]
        for field, usual in FIELDS.items():
            taken = found.values()
            near = next((plain[one] for one in usual if one in plain and plain[one] not in taken), None)
            if field not in found and near is not None:
                found[field] = near
        for field in NEEDED:
            if field not in found:
                raise BadMap(f"no column looks like the {field}: say --map {field}=COLUMN; there are {listed(names)}")
        if not {"ended_at", "duration_s"} & set(found):
            raise BadMap(f"no column says when runs ended or how long they took: say --map ended_at=COLUMN; there are"
                         f" {listed(names)}")  # fmt: skip
        if not {"status", "exit_code"} & set(found):
            raise BadMap(f"no column says how runs ended: say --map status=COLUMN; there are {listed(names)}")
        self.unknown.update((name, None) for name in names if name not in found.values())
        return [found.get(field) for field in FIELDS]


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in name.strip().lower()).split())


class Reader:
    """Makes past runs of rows."""

    def __init__(
        self, zone: tzinfo | None, *, patterns: Sequence[Any] = (), prefixes: Mapping[str, str] | None = None
    ) -> None:
        """Note what the rows themselves do not say.

        Args:
            zone: of times that name none; None is that of this machine.
            patterns: further secrets, as configured.
            prefixes: prefix of a task's name → stage; the defaults when None or empty.
        """
        self._zone = zone
        self._patterns = patterns
        self._stage = lru_cache(maxsize=4096)(lambda task: stage_of(task, prefixes or DEFAULT_PREFIXES))
        self._clean = lru_cache(maxsize=4096)(self._cleaned)
        self.naive = False
        """True when a time was read that names no zone."""

    def past(self, row: Sequence[Any]) -> Past:
        """The run that a row tells of; values in the order of ``FIELDS``.

        Raises:
            BadRow: it tells of none that is over.
        """
        (task_word, start_word, end_word, status_word, length, code_word, host_word, user_word, stage, kind, args,
         attempt, error, error_type, message, run_id, retry_of, own_id) = row  # fmt: skip
        task = self._text(task_word, 500)
        if not task:
            raise BadRow("no task")
        started = self._time(start_word, "started_at")
        if started is None:
            raise BadRow("no started_at")
        duration = _seconds(length)
        code = _code(code_word)
        status = _status(status_word, code)
        ended = self._time(end_word, "ended_at", started)
        if status.open or (ended is None and duration is None):
            raise BadRow("it has not ended" if status.open or status_word else "no ended_at")
        if ended is None:
            ended = started + (duration or 0.0)
        if ended < started:
            raise BadRow("it ends before it starts")
        host, user = self._text(host_word, 255), self._text(user_word, 255)
        failure = self._text(error, 4096)
        failed_with = self._text(error_type, 200) or (_type_of(failure) if failure else None)
        return Past(
            run_id=_given(run_id) or _identity(task, started, host, own_id),
            task=task,
            started=started,
            ended=ended,
            duration=duration if duration is not None else ended - started,
            status=status.value,
            stage=self._text(stage, 100) or self._stage(task),
            type=self._text(kind, 20),
            args=self._args(args),
            attempt=_code(attempt) or 1,
            retry_of=_given(retry_of),
            host=host,
            user=user,
            exit_code=code,
            error_type=failed_with if status.bad else None,
            error_message=failure if status.bad else None,
            fingerprint=fingerprint(failed_with or "", failure) if failure and status.bad else None,
            message=self._text(message, 4096) or (None if status.bad else failure),
        )

    def _text(self, value: object, limit: int) -> str | None:
        if value is None or value == "":
            return None
        if type(value) is not str:
            value = json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
        return self._clean(value, limit)

    def _cleaned(self, value: str, limit: int) -> str | None:
        found = clean.text(value.strip(), limit)
        return redact(found, self._patterns) if found else None

    def _args(self, value: object) -> tuple[str, ...]:
        if not value:
            return ()
        if isinstance(value, str):
            try:
                words = json.loads(value) if value.startswith("[") else shlex.split(value)
            except ValueError:
                words = value.split()
        else:
            words = value
        return tuple(redact_argv(clean.texts(words if isinstance(words, list) else [words]), self._patterns))

    def _time(self, value: object, what: str, after: float = float("-inf")) -> float | None:
        if value is None or value == "":
            return None
        if isinstance(value, str):
            try:
                at = datetime.fromisoformat(value.strip())
            except ValueError:
                return _number_time(value, what)
            if at.tzinfo is None:
                self.naive = True
            return _within(self._epoch(at, after), what)
        return _number_time(value, what)

    def _epoch(self, at: datetime, after: float) -> float:
        """Epoch seconds of a time; of two, in the hour that a clock shows twice, the one that is not before *after*."""
        if at.tzinfo is None and self._zone is not None:
            at = at.replace(tzinfo=self._zone)
        try:
            found = at.timestamp()
            return found if found >= after else max(found, at.replace(fold=1).timestamp())
        except (ValueError, OverflowError, OSError):  # at the ends of the calendar
            return float("nan")


def _number_time(value: object, what: str) -> float:
    """Seconds, milli-, micro- or nanoseconds since 1970: which of them, its size tells."""
    try:
        number = float(value) if not isinstance(value, bool) else None  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or number != number:
        raise BadRow(
            f"{what} {str(value)[:40]!r} is no time (ISO 8601 such as 2026-01-31 12:00:00, or seconds since 1970)"
        )
    for _ in range(3):
        if number > _LATEST * 10:
            number /= 1000.0
    return _within(number, what)


def _within(at: float, what: str) -> float:
    if not _EARLIEST < at < _LATEST:
        raise BadRow(f"{what} lies outside the years 1970 to 2100")
    return at


def _seconds(value: object) -> float | None:
    """Length of a run: seconds, or ``H:MM:SS``."""
    if value is None or value == "":
        return None
    try:
        parts = str(value).strip().split(":")
        found = 0.0
        for part in parts:
            found = found * 60 + float(part)
    except ValueError:
        raise BadRow(f"duration {str(value)[:40]!r} is none (seconds, or H:MM:SS)") from None
    if not 0 <= found < 1e9 or len(parts) > 3:
        raise BadRow(f"duration {str(value)[:40]!r} is none (seconds, or H:MM:SS)")
    return found


def _code(value: object) -> int | None:
    if value is None or value == "":
        return None
    try:
        return clean.integer(int(float(str(value))))
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=4096)
def _status_of(word: str) -> RunStatus | None:
    plain = word.strip().lower()
    if plain in _STATUSES:
        return _STATUSES[plain]
    try:
        return RunStatus(plain)
    except ValueError:
        return None


def _status(word: object, code: int | None) -> RunStatus:
    if word is None or word == "":
        if code is None:
            raise BadRow("no status")
        return RunStatus.FINISHED if code == 0 else RunStatus.FAILED
    status = _status_of(str(word))
    if status is None:
        raise BadRow(
            f"status {str(word)[:40]!r} is none that is known (finished, failed, cancelled, lost or a synonym)"
        )
    return status


def _type_of(message: str) -> str | None:
    """``KeyError`` of ``KeyError: 'FIPS'``."""
    head, colon, _ = message.partition(":")
    return head if colon and head.replace(".", "").replace("_", "").isalnum() and len(head) < 100 else None


def _given(value: object) -> str | None:
    """A run_id as it was given: only one of the shape that ours have."""
    text = str(value).strip().lower() if value else ""
    return text if len(text) == 36 and text.count("-") == 4 and text.replace("-", "").isalnum() else None


def _identity(task: str, started: float, host: str | None, own_id: object) -> str:
    """A run_id that the same run always gets; ids sort as runs started."""
    parts = (task, f"{started:.6f}", host or "", "" if own_id is None else str(own_id))
    return made_id(started, "\0".join(("history", *parts)))


def made_id(started: float, of: str) -> str:
    """An id of the shape of a version 8 UUID (RFC 9562) out of a time (epoch seconds) and what tells it from others."""
    digest = hashlib.blake2b(of.encode("utf-8", "backslashreplace"), digest_size=10).hexdigest()
    millis = f"{max(0, int(started * 1000)) & ((1 << 48) - 1):012x}"
    return f"{millis[:8]}-{millis[8:]}-8{digest[:3]}-{8 + int(digest[3], 16) % 4:x}{digest[4:7]}-{digest[7:19]}"


def zone_of(name: str | None) -> tzinfo | None:
    """A time zone by its name; None is that of this machine.

    Raises:
        BadMap: there is none of that name.
    """
    if name is None:
        return None
    if name.upper() in ("UTC", "Z"):
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadMap(f"there is no time zone {name!r}; say one such as Europe/Berlin or UTC") from error
