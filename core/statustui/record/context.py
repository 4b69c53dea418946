"""Where a run happens: script, arguments, commit, chosen environment, log. Starts no process, never raises."""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_PACKED_LIMIT = 64 << 20
_ENV = (
    "CONDA_DEFAULT_ENV", "VIRTUAL_ENV", "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "PBS_JOBID",
    "JOB_ID", "LSB_JOBID", "CI", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "TZ", "LANG",
)  # fmt: skip
# Where interpreters look for libraries: of no use to a reader, but a repeated start finds nothing without them.
_SEARCHED = (
    "PYTHONPATH", "R_LIBS", "R_LIBS_USER", "R_LIBS_SITE", "R_PROFILE_USER", "R_ENVIRON_USER", "PERL5LIB", "RUBYLIB",
    "NODE_PATH", "CLASSPATH", "LD_LIBRARY_PATH", "CONDA_PREFIX",
)  # fmt: skip


def script_path() -> str | None:
    """Absolute path of the program's main file; None in a notebook, a prompt, ``-c`` or stdin."""
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    if not isinstance(path, str) or path.startswith("<"):
        return None
    return os.path.join(cwd() or "/", path) if not os.path.isabs(path) else path


def cwd() -> str | None:
    """The working directory; None when it has been deleted."""
    try:
        return os.getcwd()
    except OSError:
        return None


def task_name() -> str:
    """Name for a run that was given none: the script's, without its ending.

    A module run by ``-m`` has its own name, a package's ``__main__.py`` the package's; where there is no file, the
    name says what it is (``notebook``, ``python -c``, ``stdin``, ``prompt``).
    """
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and isinstance(getattr(spec, "name", None), str):
        module = spec.name.removesuffix(".__main__")
        if module and module != "__main__":
            return str(module).rpartition(".")[2]
    path = script_path()
    if "ipykernel" in sys.modules or ("IPython" in sys.modules and path is None):
        return _notebook()
    if path:
        return base_name(path)
    first = sys.argv[0] if sys.argv else ""
    if first == "-c":
        return "python -c"
    if hasattr(sys, "ps1"):
        return "prompt"
    return base_name(first) if first not in ("", "-") else "stdin"


def _notebook() -> str:
    for variable in ("JPY_SESSION_NAME", "PAPERMILL_OUTPUT_PATH"):
        if os.environ.get(variable):
            return base_name(os.environ[variable])
    main = sys.modules.get("__main__")
    path = getattr(main, "__vsc_ipynb_file__", None)
    return base_name(path) if isinstance(path, str) else "notebook"


def base_name(path: str) -> str:
    """Last part of *path* without the ending of a script; the directory's name for ``__main__.py``."""
    head, _, last = path.rstrip("/").rpartition("/")
    if last == "__main__.py" and head:
        last = head.rpartition("/")[2]
    for ending in (".py", ".pyz", ".ipynb", ".R", ".r", ".sh"):
        if last.endswith(ending) and len(last) > len(ending):
            return last[: -len(ending)]
    return last or "stdin"


def start_dir() -> str | None:
    """Where the search for a configuration begins: the script's directory, else the working directory."""
    path = script_path()
    return os.path.dirname(path) if path else cwd()


def git_commit(directory: str | None) -> str | None:
    """Commit that is checked out around *directory*, read from ``.git`` (worktrees and packed refs too)."""
    try:
        found = _git_dir(directory)
        return _head(found) if found else None
    except (OSError, ValueError):
        return None


def _git_dir(directory: str | None) -> str | None:
    for _ in range(64):
        if not directory:
            return None
        path = f"{directory}/.git"
        try:
            mode = os.stat(path).st_mode
        except OSError:
            parent = os.path.dirname(directory)
            if parent == directory:
                return None
            directory = parent
            continue
        if stat.S_ISDIR(mode):
            return path
        content = _read(path)
        if content.startswith("gitdir:"):  # a worktree or a submodule
            return os.path.join(directory, content[7:].strip())
        return None
    return None


def _head(git: str) -> str | None:
    head = _read(f"{git}/HEAD").strip()
    if not head.startswith("ref:"):
        return _commit(head)
    ref = head[4:].strip()
    try:
        common = os.path.join(git, _read(f"{git}/commondir").strip())
    except OSError:
        common = git
    for place in (git, common):
        try:
            return _commit(_read(f"{place}/{ref}").strip())
        except OSError:
            continue
    wanted, size = f" {ref}\n", 0
    with open(f"{common}/packed-refs", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.endswith(wanted):
                return _commit(line.split(" ", 1)[0])
            size += len(line)
            if size > _PACKED_LIMIT:
                break
    return None


def _commit(text: str) -> str | None:
    return text if len(text) in (40, 64) and all(c in "0123456789abcdef" for c in text) else None


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(4096)


def environment(allowed: tuple[str, ...] = ()) -> dict[str, str]:
    """The allow-listed variables that are set, and the version of Python. Never all of the environment."""
    from statustui.model.redact import is_secret_name, redact

    result = {"PYTHON": ".".join(map(str, sys.version_info[:3]))}
    for key in (*_ENV, *allowed):
        value = os.environ.get(key)
        if value is not None:
            result[key] = "[redacted]" if is_secret_name(key) else redact(value[:1000])
    return result


def log_file(path: object = None) -> dict[str, Any]:
    """The file that is this run's log: *path*, else a stdout or stderr that is a regular file.

    Returns:
        ``log_path``, ``log_inode`` and ``log_start`` (the first byte of this run), or nothing.
    """
    if path is not None:
        return _named_log(path)
    for number in (1, 2):
        try:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode):
                continue
            import fcntl

            appends = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND
            start = found.st_size if appends else os.lseek(number, 0, os.SEEK_CUR)
            name = _path_of(number)
        except OSError:
            continue
        if name:
            return {"log_path": name, "log_inode": found.st_ino, "log_start": start}
    return {}


def _named_log(path: object) -> dict[str, Any]:
    name = os.path.join(cwd() or "/", os.fsdecode(os.fspath(path)))  # type: ignore[call-overload]
    try:
        found = os.stat(name)
    except OSError:
        return {"log_path": name, "log_start": 0}
    return {"log_path": name, "log_inode": found.st_ino, "log_start": found.st_size}


def _path_of(number: int) -> str | None:
    if sys.platform == "darwin":
        import fcntl

        raw = fcntl.fcntl(number, fcntl.F_GETPATH, b"\0" * 1024)
        return os.fsdecode(raw.rstrip(b"\0"))
    name = os.readlink(f"/proc/self/fd/{number}")
    return None if name.endswith(" (deleted)") else name


def launch_argv() -> list[str] | None:
    """The true command line of this process; None where starting it again makes no sense (notebook, prompt, stdin)."""
    if hasattr(sys, "ps1") or "ipykernel" in sys.modules or not sys.argv or sys.argv[0] in ("", "-"):
        return None
    original = list(sys.orig_argv)
    if not original or not sys.executable:
        return None
    return [sys.executable, *original[1:]]


def start_of(pid: int) -> int | None:
    """Start tick of a process (field 22 of its stat file); None where it can not be had."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read(4096).rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def launch_environment(allowed: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a repeated start needs: the allow-list, search paths and ``STATUSTUI_*`` settings."""
    ours = ("STATUSTUI_STORE", "STATUSTUI_STATE_DIR", "STATUSTUI_DRAINER", "STATUSTUI_EXIT_WAIT")
    chosen = (*_ENV, *_SEARCHED, *allowed, *ours)
    return {key: environ[key] for key in chosen if key in environ}
