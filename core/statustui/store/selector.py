"""Which runs are meant: the same on all commands and in the monitor's history."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, false, or_

from statustui.model.status import RunStatus
from statustui.store.schema import runs

_ESCAPE = "\\"


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """Runs that match all that is given; within one field any of its values."""

    ids: tuple[int, ...] = ()
    tasks: tuple[str, ...] = ()
    """Names of tasks; ``*`` stands for anything."""
    stages: tuple[str, ...] = ()
    statuses: tuple[RunStatus, ...] = ()
    hosts: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    since: datetime | None = None
    """Started at or after."""
    until: datetime | None = None
    """Started before."""
    text: str | None = None
    """Found, in any letter case, in task, label, host, user, message or error."""

    def only_times(self) -> bool:
        """True when nothing is asked but when they started."""
        return replace(self, since=None, until=None) == Selector()

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same as conditions on the table of runs."""
        found: list[ColumnElement[bool]] = []
        if self.ids:
            found.append(runs.c.id.in_(self.ids))
        for column, values in (
            (runs.c.task, self.tasks), (runs.c.stage, self.stages), (runs.c.host, self.hosts), (runs.c.user, self.users)
        ):  # fmt: skip
            if values:
                found.append(or_(false(), *(_matches(column, value) for value in values)))
        if self.statuses:
            found.append(runs.c.status.in_([status.value for status in self.statuses]))
            if all(status.open for status in self.statuses):
                found.append(runs.c.ended_at.is_(None))  # Lets the small index of open runs answer.
        if self.since is not None:
            found.append(runs.c.started_at >= self.since)
        if self.until is not None:
            found.append(runs.c.started_at < self.until)
        if self.text:
            pattern = f"%{escaped(self.text)}%"
            columns = (runs.c.task, runs.c.label, runs.c.host, runs.c.user, runs.c.overall_message,
                       runs.c.error_type, runs.c.error_message)  # fmt: skip
            found.append(or_(*(column.ilike(pattern, escape=_ESCAPE) for column in columns)))
        return found


def escaped(text: str) -> str:
    """*text* as it stands for itself in a LIKE pattern."""
    for char in (_ESCAPE, "%", "_"):
        text = text.replace(char, _ESCAPE + char)
    return text


def _matches(column: Any, value: str) -> ColumnElement[bool]:
    pattern = escaped(value).replace("*", "%")
    condition: ColumnElement[bool] = column.like(pattern, escape=_ESCAPE) if "*" in value else column == value
    return condition
