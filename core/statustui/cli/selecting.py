"""Selectors: the same options on every command, and how ``RUN`` finds a run."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from statustui.cli.session import USAGE, F, Session, Stop
from statustui.model.run import Run
from statustui.model.status import BAD_RUN_STATUSES, OPEN_RUN_STATUSES, RunStatus
from statustui.model.text import safe_text

if TYPE_CHECKING:
    from statustui.store.open import Store
    from statustui.store.selector import Selector

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SHOWN = 10
_COMPLETED = 200


def parse_time(text: str, now: datetime) -> datetime:
    """A point in time: ``2h``, ``3d`` (ago), ``now``, ``today``, ``yesterday``, or ISO 8601 in the viewer's zone.

    Raises:
        ValueError: it is none of these.
    """
    word = text.strip().lower()
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    if word == "now":
        return now
    if word == "today":
        return midnight.astimezone(UTC)
    if word == "yesterday":
        # By the calendar, not by 24 h: a day of a clock change is shorter or longer.
        before = (midnight.replace(tzinfo=None) - timedelta(days=1)).astimezone()
        return before.astimezone(UTC)
    if match := _SPAN.fullmatch(word.removesuffix(" ago")):
        try:
            return now - timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
        except OverflowError:
            return datetime(1, 1, 2, tzinfo=UTC)
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no time: write 2h, 3d, today, yesterday or 2026-11-22T14:00;") from None
    return at.astimezone(UTC)


class _Time(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic since click 8.2
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return parse_time(value, datetime.now(UTC))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _RunName(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """What names a run; the shell completes it from the store."""

    name = "run"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from sqlalchemy.exc import SQLAlchemyError

        from statustui.errors import StatustuiError
        from statustui.store import reads
        from statustui.store.open import open_store
        from statustui.store.selector import Selector

        session = ctx.find_object(Session) or Session()
        try:
            with open_store(session.settings.store_url, create=False, read_only=True, timeout=1.0) as store:
                found = reads.runs(store, Selector(), limit=_COMPLETED)
        except (StatustuiError, SQLAlchemyError):
            return []
        words = {str(run.id): f"{run.task} {run.status.value}" for run in found}
        words |= {run.task: "task" for run in found if _plain(run.task)}
        return [
            CompletionItem(word, help=safe_text(about, limit=60))
            for word, about in words.items()
            if word.startswith(incomplete)
        ]


def _plain(name: str) -> bool:
    """True for a name that no shell gives a meaning to."""
    return bool(name) and all(char.isalnum() or char in "._-" for char in name)


TIME = _Time()
RUN = _RunName()


def parse_statuses(words: Sequence[str]) -> tuple[RunStatus, ...]:
    """Statuses from words: ``open``, ``bad``, or a status in any spelling; separated by commas or repeated.

    Raises:
        ValueError: a word is no status.
    """
    found: dict[RunStatus, None] = {}
    for word in (part.strip() for text in words for part in text.split(",")):
        if word.lower() == "open":
            found.update(dict.fromkeys(OPEN_RUN_STATUSES))
        elif word.lower() == "bad":
            found.update(dict.fromkeys(BAD_RUN_STATUSES))
        else:
            try:
                found[RunStatus(word)] = None
            except ValueError:
                known = ", ".join(["open", "bad", *RunStatus])
                raise ValueError(f"{word!r} is no status of a run; known are {known}") from None
    return tuple(found)


def selectors(command: F) -> F:
    """Add ``--task --stage --status --host --user --since --until``; as keyword arguments of those names."""
    for name, metavar, text in (
        ("until", "TIME", "Started before."),
        ("since", "TIME", "Started after: 2h, 3d, yesterday, ISO 8601."),
        ("user", "USER", "Of this user."),
        ("host", "HOST", "On this host."),
        ("status", "STATUS", "open, bad, or a status word."),
        ("stage", "STAGE", "Of this stage."),
        ("task", "TASK", "Of this task; * stands for anything."),
    ):
        one = name in ("since", "until")
        command = click.option(f"--{name}", multiple=not one, metavar=metavar, type=TIME if one else str, help=text)(
            command
        )
    return command


def selector(ids: Sequence[int] = (), **options: Any) -> "Selector":
    """The selector that the options of ``selectors`` describe."""
    from statustui.store.selector import Selector

    try:
        statuses = parse_statuses(options.get("status") or ())
    except ValueError as error:
        raise Stop(USAGE, str(error)) from error
    return Selector(
        ids=tuple(ids),
        tasks=tuple(options.get("task") or ()),
        stages=tuple(options.get("stage") or ()),
        statuses=statuses,
        hosts=tuple(options.get("host") or ()),
        users=tuple(options.get("user") or ()),
        since=options.get("since"),
        until=options.get("until"),
    )


def given(options: dict[str, Any]) -> bool:
    """True when any selector option was given."""
    return any(options.get(name) for name in ("task", "stage", "status", "host", "user", "since", "until"))


def one_run(store: "Store", text: str) -> Run:
    """The run that *text* names: its short id, a unique start of its run id, or its task (the latest run).

    Raises:
        Stop: there is none, or several.
    """
    found = _find(store, text)
    if len({run.task for run in found}) > 1 or (len(found) > 1 and not all(run.task == text for run in found)):
        raise _ambiguous(text, found)
    return max(found, key=lambda run: (run.started_at, run.id))


def eligible_run(store: "Store", text: str, eligible: Callable[[Run], bool], what: str) -> Run:
    """The run that *text* names, for a change: a task's name counts only when exactly one of its runs is eligible.

    Raises:
        Stop: there is none, or several.
    """
    found = _find(store, text)
    if len(found) > 1 or found[0].task == text:
        able = [run for run in found if eligible(run)]
        if not able:
            raise Stop(USAGE, f"no run of {text} {what}; its latest is {found[0].id} ({found[0].status.value})")
        if len(able) > 1:
            raise _ambiguous(text, able)
        return able[0]
    return found[0]


def _find(store: "Store", text: str) -> list[Run]:
    from statustui.store import reads

    found = reads.find(store, text)
    if not found:
        raise Stop(
            USAGE, f"no run {text!r}: give its id, the start of its run id, or a task; statustui runs lists them"
        )
    return found


def _ambiguous(text: str, found: Sequence[Run]) -> Stop:
    listed = ", ".join(
        f"{run.id} ({run.task}, {run.status.value}, {run.started_at.astimezone():%d %b %H:%M})"
        for run in found[:_SHOWN]
    )
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return Stop(USAGE, f"{text!r} is not one run but {len(found)}: {listed}{more}; give an id")
