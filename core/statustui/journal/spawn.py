"""Starting the drainer, without the program that starts it noticing: no child, no signal, no descriptor, no output."""

from __future__ import annotations

import fcntl
import os
import sys
import time

from statustui.journal import locks
from statustui.journal.files import make_spool, open_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

RETRY_S = 2.0
"""Seconds in which neither this process nor another one on the same spool starts a second drainer."""

# The helper starts the drainer in the background and ends: the drainer is an orphan, never the program's child.
_SHELL = "/bin/sh"
_SCRIPT = '"$@" </dev/null >/dev/null 2>&1 &'
# Numbers of wait4, waitid and rt_sigtimedwait, by machine.
_WAIT_CALLS = {
    "x86_64": ("61", "247", "128"),
    "aarch64": ("260", "95", "137"),
    "ppc64le": ("114", "272", "176"),
    "s390x": ("114", "281", "177"),
}
_ENV = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SQLITE_TMPDIR"),
        *("XDG_STATE_HOME", "XDG_CONFIG_HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME"),
        *("KRB5CCNAME", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
)
_ENV_PREFIXES = ("STATUSTUI_", "PG", "MONITOR_DB_")
# What concerns the one run that starts the drainer, not the drainer.
_NOT_ENV = ("STATUSTUI_RUN", "STATUSTUI_TOKEN", "STATUSTUI_JOIN", "STATUSTUI_PARENT", "STATUSTUI_DISABLE")

_last_start: dict[str, float] = {}


def ensure_drainer(spool: str) -> bool:
    """See to it that a drainer works on *spool*. Never raises; costs a few microseconds when one is there.

    A drainer is not started while that could be noticed by the program: by another thread that is just waiting for
    any child, or by a SIGCHLD handler that would run in another thread.

    Args:
        spool: directory of the journals.

    Returns:
        True when one works or was started within the last seconds.
    """
    try:
        working = locks.holder(f"{spool}/drainer.lock")
        if working is not None:
            _make_known(spool, working)
            return True
        now = time.monotonic()
        last = _last_start.get(spool)
        if last is not None and now - last < RETRY_S:
            return True
        python = find_interpreter()
        if python is None or _noticeable():
            return False
        if _claim(spool):
            if not _start(_command(spool, python)):
                return False
            _last_start[spool] = now
        return True
    except (OSError, ValueError, RuntimeError, MemoryError, AttributeError):
        return False


def start_another(command: list[str]) -> bool:
    """Start the drainer of another version; for one that makes room for it."""
    return _start(command)


def _make_known(spool: str, working: int) -> None:
    """The drainer at work ends when this version is newer than its own."""
    from statustui.journal.versions import ask_for_room

    python = find_interpreter()
    if python is not None:
        ask_for_room(
            spool, working, getattr(sys.modules["statustui"], "__version__", "0"), lambda: _command(spool, python)
        )


def drainer_command(spool: str) -> list[str]:
    """What starts the drainer, for clients in other languages; empty where there is no interpreter for it."""
    python = find_interpreter()
    return _command(spool, python) if python is not None else []


def find_interpreter() -> str | None:
    """The Python that runs this program, or None where that is some other program with a Python inside."""
    if getattr(sys, "frozen", False):
        return None
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [
        sys.executable,
        getattr(sys, "_base_executable", None),
        f"{sys.exec_prefix}/bin/{name}",
        f"{sys.base_exec_prefix}/bin/{name}",
        f"{sys.base_exec_prefix}/bin/python3",
    ]
    for path in candidates:
        if path and os.path.basename(path).startswith(("python", "pypy")) and os.access(path, os.X_OK):
            return path
    return None


def module_paths() -> list[str]:
    """The directories that the drainer imports from: site-packages, statustui's own, then the user's own path.

    Neither the script's directory nor the working directory is among them: a ``sqlalchemy.py`` that lies there is not
    the one that is meant.
    """
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    standard = os.path.dirname(os.path.abspath(os.__file__))
    avoid = {_working_directory(), os.path.abspath(sys.path[0]) if sys.path and sys.path[0] else ""}
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main:
        avoid.add(os.path.dirname(os.path.abspath(main)))
    sites, others = [], []
    for entry in sys.path:
        if not isinstance(entry, str) or not os.path.isabs(entry) or not os.path.isdir(entry):
            continue
        if os.path.basename(entry) in ("site-packages", "dist-packages"):
            sites.append(entry)
        elif entry not in avoid and not entry.startswith(standard) and not entry.endswith(".zip"):
            others.append(entry)
    return list(dict.fromkeys([own, *sites, *others]))


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""  # it was deleted


def _claim(spool: str) -> bool:
    """True when nobody else has started a drainer within the last seconds: a pool of workers starts one, not fifty."""
    make_spool(spool)
    path = f"{spool}/drainer.start"
    fd = open_private(path, os.O_WRONLY | os.O_CREAT)
    try:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False  # somebody is just doing it
        age = time.time() - os.fstat(fd).st_mtime
        if os.fstat(fd).st_size and 0 <= age < RETRY_S:
            return False
        os.pwrite(fd, b"1", 0)
        os.utime(fd)
    finally:
        os.close(fd)
    return True


def _start(command: list[str]) -> bool:
    """Start the helper, wait for its end, and take back the signal that tells of it. True when it went well."""
    import signal

    # All signals, so that no handler of the program runs while there is a child that it does not know.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        already = signal.SIGCHLD in signal.sigpending()
        pid = _spawn(command)
        try:
            ended = _reap(pid)
        except BaseException:
            _reap(pid)  # an exception of the program's own, such as Ctrl-C that another thread took
            raise
        finally:
            if not already:
                _take_back(signal.SIGCHLD)
        return ended
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _reap(pid: int) -> bool:
    try:
        return os.waitpid(pid, 0)[1] == 0
    except ChildProcessError:
        return True  # SIGCHLD is ignored: the kernel has reaped it


def _command(spool: str, python: str) -> list[str]:
    # -I ignores PYTHONHOME, which some installations need; the environment holds no other variable of Python's.
    flags = ["-P", "-s", "-S"] if "PYTHONHOME" in os.environ else ["-I", "-S"]
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "start_drainer.py")
    paths = module_paths()
    if os.path.isfile(script):
        program = [script]
    else:  # imported from a zip file
        code = "from statustui.journal.start_drainer import main; main(sys.argv[1:])"
        program = ["-c", f"import sys; sys.path += sys.argv[3:]; {code}"]
    return [python, *flags, *program, "statustui.drain", os.path.abspath(spool), *paths]


def _spawn(command: list[str]) -> int:
    if os.access(_SHELL, os.X_OK):
        command = [_SHELL, "-c", _SCRIPT, "sh", *command]
    else:
        code = "import os, sys; os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)"
        command = [command[0], "-I", "-S", "-c", code, *command]
    import signal

    actions: list[tuple[int, int, str, int, int] | tuple[int, int]] = [
        (os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)
    ]
    actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable()]
    return os.posix_spawn(
        command[0],
        command,
        _environment(),
        file_actions=actions,
        setsid=sys.platform == "linux",
        setsigmask=(),
        setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
    )


def _environment() -> dict[str, str]:
    kept = {}
    for name, value in os.environ.items():
        if name in _ENV or (name.startswith(_ENV_PREFIXES) and not name.startswith(_NOT_ENV)):
            kept[name] = value
    return kept


def _inheritable() -> Iterator[int]:
    """Descriptors above stderr that the helper would inherit, such as a pipe that somebody reads to its end."""
    if sys.platform != "linux":
        return  # closing one that is gone would be an error there; the drainer closes them itself
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if fd > 2 and os.get_inheritable(fd):
                yield fd
        except OSError:
            continue


def _noticeable() -> bool:
    """True when a helper that starts and ends now would be seen by another thread of this program."""
    import signal

    handled = signal.getsignal(signal.SIGCHLD) not in (signal.SIG_DFL, signal.SIG_IGN)
    try:
        threads = [int(name) for name in os.listdir("/proc/self/task")]
        mine = int(os.readlink("/proc/thread-self").rpartition("/")[2])
    except OSError:
        import threading

        return handled and threading.active_count() > 1
    calls = _WAIT_CALLS.get(os.uname().machine, ("", "", ""))
    return any(_would_notice(thread, handled, calls) for thread in threads if thread != mine)


def _would_notice(thread: int, handled: bool, calls: tuple[str, str, str]) -> bool:
    try:
        call = _first_line(f"/proc/self/task/{thread}/syscall").split()
        if len(call) > 1 and call[0] in calls:
            first = int(call[1], 16)
            any_child = {calls[0]: first & 0xFFFFFFFF == 0xFFFFFFFF, calls[1]: first == 0, calls[2]: True}
            if any_child[call[0]]:
                return True
        return handled and not _blocks_sigchld(thread)
    except FileNotFoundError:
        return False  # the thread has ended
    except (OSError, ValueError):
        return handled


def _first_line(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.readline()


def _blocks_sigchld(thread: int) -> bool:
    import signal

    with open(f"/proc/self/task/{thread}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("SigBlk:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGCHLD - 1) & 1)
    return False


def _take_back(number: int) -> None:
    """Drop the helper's pending SIGCHLD; when a child of the program has ended too, the signal is given again."""
    import signal

    if not hasattr(signal, "sigtimedwait"):
        return
    while signal.sigtimedwait({number}, 0) is not None:
        pass
    try:
        other = os.waitid(os.P_ALL, 0, os.WEXITED | os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return
    if other is not None:
        os.kill(os.getpid(), number)
