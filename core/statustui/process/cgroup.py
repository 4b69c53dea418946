"""Did the kernel's out-of-memory killer strike? Its counters before and after a death."""

import os

_PLACES_V2 = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
_PLACE_V1 = "/sys/fs/cgroup/memory"


class OomCounter:
    """The counter of out-of-memory kills that covers one process, with its value when it was opened."""

    __slots__ = ("_machine_before", "before", "path")

    def __init__(self, path: str | None) -> None:
        self.path = path
        """File with the ``oom_kill`` line of the process's memory cgroup; None when only the machine counts."""
        self.before = None if path is None else _counter(path)
        self._machine_before = _counter("/proc/vmstat")

    @classmethod
    def of(cls, pid: int) -> "OomCounter":
        """Find the counter of a living process."""
        return cls(_file_of(pid))

    def rose(self) -> str | None:
        """What rose since then.

        Returns:
            ``"cgroup"`` when the process's own memory cgroup counted a kill, ``"machine"`` when only the
            counter of the whole machine did (a cgroup that is gone says no more), None when neither.
        """
        if self.path is not None and self.before is not None:
            now = _counter(self.path)
            if now is not None:
                return "cgroup" if now > self.before else None
        now = _counter("/proc/vmstat")
        if now is not None and self._machine_before is not None and now > self._machine_before:
            return "machine"
        return None


def oom_kills(pid: int) -> int | None:
    """Kills counted so far in the memory cgroup of a living process, else on the whole machine."""
    path = _file_of(pid)
    count = None if path is None else _counter(path)
    return _counter("/proc/vmstat") if count is None else count


def _file_of(pid: int) -> str | None:
    """The file with an ``oom_kill`` line for the memory cgroup of *pid*."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as lines:
            entries = [line.rstrip("\n").split(":", 2) for line in lines]
    except OSError:
        return None
    candidates = []
    for entry in entries:
        if len(entry) != 3:
            continue
        number, controllers, path = entry
        if "memory" in controllers.split(","):
            candidates += [f"{_PLACE_V1}{path}/memory.oom_control", f"{_PLACE_V1}/memory.oom_control"]
        elif number == "0" and not controllers:
            candidates += [f"{place}{path}/memory.events" for place in _PLACES_V2]
            # Inside a container without a cgroup namespace the path is that of the host.
            candidates += [f"{place}/memory.events" for place in _PLACES_V2]
    return next((path for path in candidates if _counter(path) is not None), None)


def _counter(path: str) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(fd, 65536)
    except OSError:
        return None
    finally:
        os.close(fd)
    for line in data.split(b"\n"):
        if line.startswith(b"oom_kill "):
            try:
                return int(line.split()[1])
            except (ValueError, IndexError):
                return None
    return None
