"""The first lines of the Monitor screen: where, how much, what time; and what is wrong with the store. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from textual.content import Content

from statustui.model.run import Snapshot
from statustui.model.status import Mark, RunStatus
from statustui_tui import render
from statustui_tui.screens.parts.line import spread
from statustui_tui.screens.view import Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """The numbers of the header."""

    running: int = 0
    stalled: int = 0
    silent: int = 0
    bad: int = 0
    """Failed and lost since the window began."""
    dropped: int = 0
    """Facts that could not be kept, over all hosts."""


def totals(found: Iterable[Entry], snapshot: Snapshot) -> Totals:
    """What the header counts, of the lines that run and of the window."""
    lines = tuple(found)
    return Totals(
        running=len(lines),
        stalled=sum(entry.mark(Mark.STALLED) is not None for entry in lines),
        silent=sum(entry.mark(Mark.SILENT) is not None for entry in lines),
        bad=bad_ends(snapshot.counts),
        dropped=sum(host.facts_dropped for host in snapshot.hosts),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """The store cannot be read at present."""

    kind: str
    text: str
    tries: int
    old_s: float | None
    """Age of what is shown, in seconds; None when nothing is shown."""


def header(
    who: str,
    store: str,
    totals: Totals | None,
    clock: datetime,
    width: int,
    remark: str = "",
    *,
    seconds: bool = True,
) -> Content:
    """``etl@db1 ~/…/statustui   15 running  1 stalled  43 FAILED    03:04:12 CET``, or without the seconds."""
    counts = _counts(totals, short=width < 60) if totals is not None else Content("")
    zone = f" {render.clean(clock.tzname() or '')}" if width >= 72 else ""
    time_text = (
        clock.strftime("%H:%M:%S") if seconds and width >= 34 else clock.strftime("%H:%M") if width >= 26 else ""
    )
    right = Content.assemble(
        (remark, "bold $warning"), "  " if remark else "", (time_text + zone, "$foreground 70%"), " "
    )
    room = width - counts.cell_length - right.cell_length - 3
    place = render.clean(who)
    left = Content.assemble(" ", (place, "bold")) if room >= len(place) + 1 else Content("")
    room -= left.cell_length
    if room >= 12:
        left = Content.assemble(
            left, " ", (render.crop_middle(render.clean(store), min(room - 1, 60)), "$foreground 60%")
        )
    gap = "   " if left.cell_length and width >= 60 else " "
    return spread(Content.assemble(left, gap, counts), right, width)


def _counts(totals: Totals, *, short: bool) -> Content:
    parts: list[tuple[str, str]] = []
    words = (
        (totals.running, "running", "r", "bold $success" if totals.running else "$foreground 60%", True),
        (totals.stalled, "stalled", "!", "bold $warning", False),
        (totals.silent, "silent", "?", "bold $warning", False),
        (totals.bad, "FAILED", "F", "bold $error", False),
        (totals.dropped, "facts dropped", "lost", "bold $error", False),
    )
    for number, word, letter, style, always in words:
        if number or always:
            parts.append((f"{number}{letter}" if short else f"{number} {word}", style))
            parts.append((" " if short else "  ", ""))
    return Content.assemble(*parts[:-1])


def banner(trouble: Trouble, width: int) -> Content:
    """What is wrong with the store, how often it was tried, and how old the screen is."""
    old = f"shown: {render.age(trouble.old_s)} old" if trouble.old_s is not None else "nothing to show yet"
    tries = f"{trouble.tries} tries" if trouble.tries != 1 else "1 try"
    text = Content.assemble(
        (f" {trouble.kind.upper()} ", "bold reverse $error"), (f" {old}", "bold $error"), f" · {tries} · ",
        render.clean(trouble.text),
    )  # fmt: skip
    return text.truncate(width, ellipsis=True) if text.cell_length > width else text


def bad_ends(counts: Mapping[RunStatus, int]) -> int:
    """Failed and lost runs of the window."""
    return counts.get(RunStatus.FAILED, 0) + counts.get(RunStatus.LOST, 0)


def empty_page(store: str, others: tuple[tuple[str, int], ...], *, ascii_only: bool) -> list[Content]:
    """What to do when no run has been recorded yet."""
    dim = "$foreground 60%"
    lines = [
        Content(""),
        Content.styled("  No runs yet.", "bold"),
        Content.assemble("  The store is ", (render.clean(store), "bold")),
        Content(""),
        Content("  Put any command in front of the monitor:"),
        Content.styled("      statustui run -- make report", "$accent"),
        Content(""),
        Content("  or track a Python program:"),
        Content.styled("      import statustui", "$accent"),
        Content.styled('      with statustui.run("nightly") as run:', "$accent"),
        Content.styled('          for path in run.track(paths, "Loading"):', "$accent"),
        Content(""),
        Content.assemble("  or adopt one that runs already:  ", ("A", "$accent")),
        Content(""),
        Content.assemble("  or watch real work right away:  ", ("statustui demo", "$accent")),
    ]
    if others:
        lines += [Content(""), Content("  Other stores on this machine:")]
        for url, runs in others[:8]:
            lines.append(
                Content.assemble(
                    f"      {runs} runs in ",
                    (render.clean(url), "bold"),
                    (f"   statustui --store {render.clean(url)}", dim),
                )
            )
    return lines


def short_store(url: str, home: str) -> str:
    """A store as the header names it: a path without scheme and file name, ``~`` for the home."""
    text = url
    for prefix in ("sqlite:///", "sqlite://"):
        if text.startswith(prefix):
            text = text[len(prefix) :]
            text = text if text.startswith("/") else f"/{text}"
            break
    if not text.startswith("/"):
        return text
    if home and (text == home or text.startswith(home.rstrip("/") + "/")):
        text = "~" + text[len(home.rstrip("/")) :]
    return text.removesuffix("/status.db")
