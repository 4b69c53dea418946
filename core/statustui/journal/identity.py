"""Who writes: the facts about this process that begin its journal."""

import os
import sys

from statustui.machine import boot_id, host_name, machine_id, pid_namespace

# The run wrapper asks for the tick before it starts its command: typing would cost it 3 ms.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def start_tick() -> int | None:
    """Start of this process in clock ticks since boot (field 22 of /proc/self/stat); None where there is no /proc."""
    try:
        fd = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(fd, 4096)
    finally:
        os.close(fd)
    # The name in brackets may hold anything, brackets too.
    return int(data[data.rindex(b")") + 2 :].split()[19])


def user_name() -> str:
    """Name of the user that this process runs as, or ``uid N``; asks no directory service where it can be avoided."""
    uid = os.getuid()
    if uid == os.geteuid():
        for name in ("LOGNAME", "USER"):
            if os.environ.get(name):
                return os.environ[name]
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except (KeyError, OSError):
        return f"uid {os.geteuid()}"


def describe() -> "dict[str, Any]":
    """The fields of the ``writer`` record that name this process."""
    return {
        "pid": os.getpid(),
        "start": start_tick(),
        "boot": boot_id(),
        "ns": pid_namespace(),
        "machine": machine_id(),
        "host": host_name(),
        "user": user_name(),
        "uid": os.geteuid(),
        "version": str(getattr(sys.modules.get("statustui"), "__version__", "")),
        "exe": sys.executable or "",
    }
