"""Logs followed as they grow: as the kernel tells, or looked for where it can not (network file systems)."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from statustui.imports.logfiles import find, wanted
from statustui.imports.logs import LogImporter, ToldFile
from statustui.places import on_network
from statustui.store.errors import StoreUnavailable

_TICK_S = 1.0
_POLL_S = 2.0
_LONG_S = 0.1
_REST = 20.0
_LONGEST_REST_S = 30.0

State = tuple[int, int, int]
"""What changes with a file: its inode, its size in bytes, and when it was last written, in ns."""


def follow(
    importer: LogImporter,
    top: str,
    patterns: Sequence[str],
    stop: threading.Event,
    shown: Callable[[list[ToldFile]], None],
    failed: Callable[[StoreUnavailable], None],
    *,
    seen: Mapping[str, State],
    poll: bool | None = None,
) -> None:
    """Take in what is written, until *stop* is set; a store that is away is waited for.

    Args:
        importer: has looked at all logs once.
        top: the directory.
        patterns: names of the logs.
        stop: ends it.
        shown: called with what changed.
        failed: called when the store is away; what was read is read again.
        seen: the logs as they were before *importer* looked at them: what changed meanwhile is taken in first.
        poll: True looks for changes, False is told of them; None finds out which.
    """
    changes = _looked_for if (on_network(top) if poll is None else poll) else _told
    due = 0.0
    again: set[str] = set()
    rests: dict[str, float] = {}
    for changed in changes(top, patterns, stop, seen):
        now = time.monotonic()
        paths = changed | again
        if now >= due:
            # Their writer may have gone without another word.
            paths |= set(importer.open)
            due = now + _TICK_S
        later = {path for path in paths if rests.get(path, 0.0) > now}
        paths -= later
        again = later
        if not paths:
            continue
        try:
            told = [_looked(importer, path, rests) for path in sorted(paths) if os.path.lexists(path)]
            importer.flush()
        except StoreUnavailable as error:
            importer.forget()
            again |= paths
            failed(error)
            stop.wait(_POLL_S)
            continue
        if news := [one for one in told if one.runs]:
            shown(news)


def _looked(importer: LogImporter, path: str, rests: dict[str, float]) -> ToldFile:
    """Look at one; what costs much is looked at less often: a log of gigabytes may grow each second."""
    began = time.thread_time()  # a busy machine makes no log large
    told = importer.look(path)
    took = time.thread_time() - began
    if took > _LONG_S:
        rests[path] = time.monotonic() + min(_LONGEST_REST_S, _REST * took)
    else:
        rests.pop(path, None)
    return told


def _told(top: str, patterns: Sequence[str], stop: threading.Event, seen: Mapping[str, State]) -> Iterator[set[str]]:
    """Changed logs as the kernel tells of them; looked for where it refuses."""
    from watchfiles import watch

    watching = False
    try:
        for batch in watch(
            top, watch_filter=None, stop_event=stop, rust_timeout=int(_TICK_S * 1000), yield_on_timeout=True,
            raise_interrupt=False, step=50, debounce=500,
        ):  # fmt: skip
            changed = {path for _, path in batch if wanted(path, top, patterns)}
            if not watching:  # nobody told of what happened before
                changed |= _changed(seen, states(find(top, patterns)))
                watching = True
            yield changed
    except OSError:
        yield from _looked_for(top, patterns, stop, seen)  # no watches left (fs.inotify.max_user_watches)


def _looked_for(
    top: str, patterns: Sequence[str], stop: threading.Event, seen: Mapping[str, State]
) -> Iterator[set[str]]:
    """Changed logs by their inode, size and time; a look that takes long is not taken often."""
    took = 0.0
    while not stop.wait(max(_POLL_S, 10 * took)):
        began = time.monotonic()
        now = states(find(top, patterns))
        yield _changed(seen, now)
        seen, took = now, time.monotonic() - began


def _changed(seen: Mapping[str, State], now: Mapping[str, State]) -> set[str]:
    return {path for path, state in now.items() if seen.get(path) != state}


def states(paths: Iterable[str]) -> dict[str, State]:
    """What to tell a change by; a file that is gone has none."""
    found = {}
    for path in paths:
        try:
            at = os.stat(path, follow_symlinks=False)
        except OSError:
            continue
        found[path] = (at.st_ino, at.st_size, at.st_mtime_ns)
    return found
