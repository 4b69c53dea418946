"""How far a process is in the files that it reads, from looks at its descriptors. Pure: evidence in, figures out.

A number is given only where it is proven, and nothing rather than something wrong:

- A file counts once its position has moved forward between two looks.
- A position that goes back (a second pass, random access) ends all percents of that file for good.
- A file that changes its size while it is read has no percent.
- The files that stand on the command line are the whole work; they are taken to be read in that order, until one that
  was passed over is read after all. The same holds for stdin. Other files are parts of a work of unknown size.
- What only grows (an output) gives bytes, and no percent. Logs are no output, and neither is what is appended to.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from statustui.process.descriptors import OpenFile

LEAST = 64 << 10
"""Bytes of the smallest file whose position says anything: programs read less at once."""
_BACK_AND_FORTH = "goes back and forth in it: no percent"
_NOT_IN_ORDER = "not read in order: no percent"
_STUCK = 5
_GROWN = 3
# A shell that reads line by line takes a block and steps back to the end of the line.
_STEP_BACK = 64 << 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """One file that the command line names."""

    path: str
    dev: int
    ino: int
    size: int
    """In bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one process is at."""

    key: str
    """Names the piece of work: another key is another piece."""
    name: str
    """For people."""
    complete: int | None
    """Bytes done; None when they say nothing."""
    total: int | None
    """Bytes in all, where they are known."""
    message: str | None = None
    """The file of several that is read now, or why there is no figure."""
    inner: dict[str, int] = field(default_factory=dict)
    """``file`` k of ``files`` n, of several."""
    whole: bool = False
    """This is all that the process has to do, as far as its command line says."""


class _Seen:
    """One descriptor over several looks."""

    __slots__ = ("back", "changed", "furthest", "grown", "moved", "moved_at", "position", "size")

    def __init__(self, file: OpenFile, look: int) -> None:
        self.position = self.furthest = file.position
        self.size = file.size
        self.moved = 0
        """In how many looks it had gone forward."""
        self.grown = 0
        self.moved_at = look
        self.back = False
        self.changed = False

    def see(self, file: OpenFile, look: int) -> None:
        slack = min(_STEP_BACK, file.size // 16)
        if file.position < self.furthest - slack or (file.position == 0 and self.furthest > 0):
            self.back = True
        elif file.position > self.furthest:
            self.moved += 1
            self.moved_at = look
        if file.size != self.size:
            self.changed = True
            self.grown = self.grown + 1 if file.size > self.size else 0
            self.moved_at = look
        self.position = file.position
        self.furthest = max(self.furthest, file.position)
        self.size = file.size


_Key = tuple[int, int, int]


class Watch:
    """What one process reads."""

    def __init__(
        self,
        inputs: Sequence[Input] = (),
        chosen: tuple[int, int] | None = None,
        ignore: Iterable[tuple[int, int]] = (),
    ) -> None:
        """Begin to look.

        Args:
            inputs: the files that its command line names, in order.
            chosen: (device, inode) of the one file that counts, where a person chose it.
            ignore: (device, inode) of files that say nothing: logs, the script itself.
        """
        self._chosen = chosen
        self._ignore = frozenset(ignore)
        self._seen: dict[_Key, _Seen] = {}
        self._look = 0
        self._group = None if chosen is not None else _Group(inputs) if inputs else None
        self._one: _Key | None = None
        self._out: _Key | None = None

    def look(self, files: Sequence[OpenFile]) -> Reading | None:
        """Take in one look at its descriptors; None when nothing can be said now."""
        self._look += 1
        here = {(file.fd, file.dev, file.ino): file for file in files if self._counts(file)}
        for key in self._seen.keys() - here.keys():
            del self._seen[key]
        for key, file in here.items():
            if key in self._seen:
                self._seen[key].see(file, self._look)
            else:
                self._seen[key] = _Seen(file, self._look)
        if self._group is not None:
            said = self._group.look([(file, self._seen[key]) for key, file in here.items()], self._look)
            if said is not None:
                return said
        return self._of_one(here) or self._of_output(here)

    def _counts(self, file: OpenFile) -> bool:
        place = (file.dev, file.ino)
        return place == self._chosen if self._chosen is not None else place not in self._ignore

    def _of_one(self, here: dict[_Key, OpenFile]) -> Reading | None:
        """The file that it reads: the one from before as long as that is open and moves, else the largest."""
        moving = [
            key for key, file in here.items()
            if (file.mode == "r" or self._chosen is not None) and file.size >= LEAST and self._seen[key].moved
            and not self._seen[key].back and file.position <= file.size
        ]  # fmt: skip
        fresh = [key for key in moving if self._look - self._seen[key].moved_at < _STUCK]
        if self._one not in here or (fresh and self._one not in fresh):
            self._one = max(fresh, key=lambda key: here[key].size, default=None)
        if self._one is None:
            return None
        file, seen = here[self._one], self._seen[self._one]
        if seen.furthest >= file.size and self._look - seen.moved_at >= _STUCK:
            return None  # read to its end: what the process does now it does not tell
        sure = not seen.back and not seen.changed and file.position <= file.size
        return Reading(
            key=f"in:{file.dev}:{file.ino}",
            name=_base(file.path),
            complete=None if seen.back else seen.furthest,
            total=file.size if sure else None,
            message=_BACK_AND_FORTH if seen.back else None,
            whole=sure and (file.fd == 0 or self._chosen is not None),
        )

    def _of_output(self, here: dict[_Key, OpenFile]) -> Reading | None:
        growing = [
            key
            for key, file in here.items()
            if self._seen[key].grown >= _GROWN
            and (self._chosen is not None or (file.mode == "w" and file.fd not in (0, 2)))
        ]
        if self._out not in here:
            self._out = max(growing, key=lambda key: here[key].size, default=None)
        if self._out is None:
            return None
        file = here[self._out]
        return Reading(
            key=f"out:{file.dev}:{file.ino}", name=f"writing {_base(file.path)}", complete=file.size, total=None
        )


class _Group:
    """The files of the command line, taken as one work."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._inputs = list(inputs)
        self._places = {(one.dev, one.ino): number for number, one in reversed(list(enumerate(inputs)))}
        self._before = [0]
        for one in inputs:
            self._before.append(self._before[-1] + one.size)
        self._at = 0
        """All files before this one are done."""
        self._steps = 0
        self._furthest: dict[int, int] = {}
        self._begun = False
        self._lost = False
        self._current = 0
        self._heard_at = 0

    def look(self, found: Sequence[tuple[OpenFile, _Seen]], look: int) -> Reading | None:
        open_now = {
            self._places[file.dev, file.ino]: (file, seen)
            for file, seen in found
            if file.mode == "r" and (file.dev, file.ino) in self._places
        }
        for number, (file, seen) in open_now.items():
            past_end = file.position > self._inputs[number].size or file.size != self._inputs[number].size
            self._lost = self._lost or seen.back or past_end or number < self._at
            self._begun = self._begun or (seen.moved > 0 and file.size >= LEAST)
            before = self._furthest.get(number, -1)
            if seen.furthest > before:
                self._furthest[number] = seen.furthest
                self._heard_at = look
        if open_now:
            first = min(open_now)
            if first > self._at:
                self._steps += 1
                self._at = first
            # Files too small to be seen moving, one after the other, are movement too.
            self._begun = self._begun or (self._steps > 1 and self._before[-1] >= LEAST)
            self._current = max(open_now, key=lambda number: (open_now[number][1].moved_at, number))
        if not self._begun:
            return None
        total = self._before[-1]
        done = self._before[self._at] + sum(at for number, at in self._furthest.items() if number >= self._at)
        if look - self._heard_at >= _STUCK and (not open_now or done >= total):
            self._begun = False  # over; it says more only when it moves again
            return None
        return self._said(done, total)

    def _said(self, done: int, total: int) -> Reading:
        several = len(self._inputs) > 1
        now = _base(self._inputs[self._current].path)
        message = now if several else None
        return Reading(
            key="arguments",
            name=f"{len(self._inputs)} files" if several else now,
            complete=None if self._lost else min(done, total),
            total=None if self._lost else total,
            message=(_NOT_IN_ORDER if several else _BACK_AND_FORTH) if self._lost else message,
            inner={"file": self._current + 1, "files": len(self._inputs)} if several and not self._lost else {},
            whole=not self._lost,
        )


def _base(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2] or path
