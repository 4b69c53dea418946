"""Configuration: where the store and the state directory are, and the few things people set.

An argument wins over the environment, that over a project file (``.statustui.toml`` or ``[tool.statustui]`` in
``pyproject.toml``, looked for upwards), that over the user's file, that over ``/etc``, that over the defaults.
Standard library only and cheap: it is loaded inside other people's programs, so neither ``typing`` nor
``dataclasses`` is imported, and ``tomllib`` only when there is a file to read.
"""

import os
import stat

from statustui.errors import ConfigError
from statustui.machine import boot_id, host_name, machine_id, pid_namespace
from statustui.places import base_dir, home_dir, on_network, private_dir
from statustui.urls import canonical_url, display_url, has_password, postgres_url, without_password

__all__ = [
    "ConfigError",
    "Settings",
    "boot_id",
    "canonical_url",
    "display_url",
    "host_name",
    "known_stores",
    "load",
    "machine_id",
    "pid_namespace",
    "remember_store",
    "spool_dir",
]

PROJECT_FILE = ".statustui.toml"
SYSTEM_FILE = "/etc/statustui/config.toml"
STORE_FILE = "status.db"
DRAINERS = ("process", "inline", "off")

# What each key of a configuration file must be.
_KINDS = {
    "store": "text",
    "state_dir": "text",
    "drainer": "text",
    "exit_wait": "seconds",
    "grace": "seconds",
    "read_only": "bool",
    "stages": "table",
    "operators": "list",
    "env": "list",
    "redact": "list",
    "progress": "list",
    "keys": "table",
    "ssh": "table",
    "path": "text",
}
_WANTED = {
    "text": "a text",
    "seconds": "a number of seconds",
    "bool": "true or false",
    "list": "a list of texts",
    "table": "a table of texts",
}
# Whoever can write these can make the reader run, reveal or overwrite something: only from files
# that nobody else can write.
_TRUSTED_ONLY = ("state_dir", "operators", "env", "ssh", "path")
_ENVIRONMENT = {
    "store": "STATUSTUI_STORE",
    "state_dir": "STATUSTUI_STATE_DIR",
    "drainer": "STATUSTUI_DRAINER",
    "exit_wait": "STATUSTUI_EXIT_WAIT",
    "grace": "STATUSTUI_GRACE",
    "read_only": "STATUSTUI_READ_ONLY",
}


class Settings:
    """What is configured, with the place that the store's URL came from. Not to be changed once made."""

    __slots__ = (
        "drainer",
        "env_allow",
        "exit_wait",
        "files",
        "grace_s",
        "keymap",
        "notes",
        "operators",
        "path",
        "progress",
        "read_only",
        "redact",
        "ssh",
        "stage_prefixes",
        "state_dir",
        "store_source",
        "store_url",
    )

    def __init__(
        self,
        store_url: str,
        store_source: str = "argument",
        state_dir: str = "",
        *,
        drainer: str = "process",
        exit_wait: float | None = None,
        grace_s: float = 10.0,
        stage_prefixes: dict[str, str] | None = None,
        operators: tuple[str, ...] = (),
        env_allow: tuple[str, ...] = (),
        read_only: bool = False,
        keymap: dict[str, str] | None = None,
        ssh: dict[str, str] | None = None,
        path: str | None = None,
        redact: tuple[str, ...] = (),
        progress: tuple[str, ...] = (),
        files: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        self.store_url = store_url
        """Canonical URL of the store, with its password."""
        self.store_source = store_source
        """``argument``, ``environment``, the path of a configuration file, or ``default``."""
        self.state_dir = state_dir or os.path.join(base_dir(), "statustui")
        """Absolute directory of journals, slots, locks and launch files."""
        self.drainer = drainer
        """``process``, ``inline`` or ``off``."""
        self.exit_wait = exit_wait
        """Seconds that a program waits at its end for its journal to be applied; None = as the design says."""
        self.grace_s = grace_s
        """Seconds between TERM and KILL on a cancel."""
        self.stage_prefixes = stage_prefixes or {}
        """Prefix of a task's name → stage; empty = the defaults of ``model.stage``."""
        self.operators = operators
        """Database roles whose requests this user's drainer carries out."""
        self.env_allow = env_allow
        """Environment variables recorded beside the usual ones."""
        self.read_only = read_only
        """True: the monitor and the commands change nothing."""
        self.keymap = keymap or {}
        """Binding id → keys, for the monitor."""
        self.ssh = ssh or {}
        """Host as the store names it → name to give to ``ssh``."""
        self.path = path
        """PATH for retried runs; None = a usual one."""
        self.redact = redact
        """Regular expressions of further secrets."""
        self.progress = progress
        """Regular expressions that find progress in what wrapped commands print (``run --progress``)."""
        self.files = files
        """Configuration files that were read, the strongest first."""
        self.notes = notes
        """What a person should know about the configuration, such as ignored keys; one line each."""

    def __repr__(self) -> str:
        return f"Settings({display_url(self.store_url)!r}, {self.store_source!r}, {self.state_dir!r})"


def load(*, store: str | None = None, start: str | None = None) -> Settings:
    """Read the configuration.

    Args:
        store: URL or path of the store from the command line or the call; wins over all else.
        start: Directory where the search for a project file begins: that of the script for a program
            that records, the working directory (None) for a viewer.

    Raises:
        ConfigError: something in it can not be used; the message names the file or variable, and the key.
    """
    reading = _Reading(_start_dir(start))
    state_dir = reading.text("state_dir")
    explicit = state_dir is not None
    if state_dir is None:
        state_dir = os.path.join(base_dir(), "statustui")
    state_dir = os.path.abspath(os.path.expanduser(state_dir))
    if store is not None:
        url, source = canonical_url(store), "argument"
    elif (found := reading.store()) is not None:
        url, source = found
    else:
        url, source = _default_store(state_dir, explicit, reading.notes), "default"
    drainer = reading.text("drainer") or "process"
    if drainer not in DRAINERS:
        raise ConfigError(f"{reading.where('drainer')}: drainer is {drainer!r}, not one of {', '.join(DRAINERS)}")
    grace = reading.seconds("grace")
    return Settings(
        url,
        source,
        state_dir,
        drainer=drainer,
        exit_wait=reading.seconds("exit_wait"),
        grace_s=10.0 if grace is None else grace,
        stage_prefixes=reading.table("stages"),
        operators=reading.list("operators"),
        env_allow=reading.list("env"),
        read_only=reading.bool("read_only"),
        keymap=reading.table("keys"),
        ssh=reading.table("ssh"),
        path=reading.text("path"),
        redact=reading.list("redact"),
        progress=reading.list("progress"),
        files=tuple(path for path, _ in reading.files),
        notes=tuple(reading.notes),
    )


def spool_dir(settings: Settings) -> str:
    """Directory of this machine's, namespace's and store's journals (journal/FORMAT.md)."""
    return os.path.join(settings.state_dir, "spool", machine_id(), str(pid_namespace()), store_key(settings.store_url))


def store_key(url: str) -> str:
    """First 16 hex digits of SHA-256 of the canonical URL without its password."""
    try:
        from _sha2 import sha256  # type: ignore[import-not-found, unused-ignore]  # 3.12; hashlib costs 3 ms
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            from hashlib import sha256
    return str(sha256(without_password(url).encode("utf-8", "surrogateescape")).hexdigest())[:16]


def known_stores() -> list[str]:
    """Canonical URLs, without passwords, of the stores that this user has used, newest first."""
    try:
        with open(_stores_file(), encoding="utf-8", errors="replace") as file:
            lines = file.read(65_536).splitlines()
    except OSError:
        return []
    return list(dict.fromkeys(line for line in reversed(lines) if "://" in line))


def remember_store(url: str) -> None:
    """Note a store in the per-user list at its fixed place; what can not be written is left out."""
    url = without_password(url)
    if "\n" in url or url in known_stores():
        return
    path = _stores_file()
    try:
        _make_directories(os.path.dirname(path))
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        os.fchmod(fd, 0o600)
        os.write(fd, url.encode("utf-8", "replace") + b"\n")
    except OSError:
        return
    finally:
        os.close(fd)


def _make_directories(path: str) -> None:
    """Make what is missing, 0700: ``makedirs`` leaves those above to the umask."""
    if path and not os.path.isdir(path):
        _make_directories(os.path.dirname(path))
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)


class _Reading:
    """The configuration files that apply, the strongest first, and the environment before them."""

    def __init__(self, start: str) -> None:
        self.notes: list[str] = []
        self.files: list[tuple[str, dict[str, object]]] = []
        for path in dict.fromkeys((*_project_files(start), *_user_file(), SYSTEM_FILE)):
            table = _read_file(path, self.notes)
            if table is not None:
                self.files.append((path, table))

    def _value(self, key: str) -> tuple[object, str] | None:
        name = _ENVIRONMENT.get(key)
        text = os.environ.get(name, "").strip() if name else ""
        if name and text:
            return text, name
        return next(((table[key], path) for path, table in self.files if key in table), None)

    def where(self, key: str) -> str:
        found = self._value(key)
        return found[1] if found else "default"

    def text(self, key: str) -> str | None:
        found = self._value(key)
        if found is None:
            return None
        value, where = str(found[0]), found[1]
        if key == "state_dir" and not where.startswith("STATUSTUI_"):
            value = os.path.join(os.path.dirname(where), os.path.expanduser(value))
        return value

    def seconds(self, key: str) -> float | None:
        found = self._value(key)
        if found is None:
            return None
        try:
            value = float(str(found[0]))
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1e6:
            raise ConfigError(f"{found[1]}: {key} must be a number of seconds, not {str(found[0])[:60]!r}")
        return value

    def bool(self, key: str) -> bool:
        found = self._value(key)
        return found is not None and str(found[0]).lower() in ("1", "true", "yes", "on")

    def list(self, key: str) -> tuple[str, ...]:
        found = self._value(key)
        return tuple(map(str, found[0])) if found and isinstance(found[0], list) else ()

    def table(self, key: str) -> dict[str, str]:
        merged: dict[str, str] = {}
        for _, table in reversed(self.files):
            part = table.get(key)
            if isinstance(part, dict):
                merged.update((str(name), str(value)) for name, value in part.items())
        return merged

    def store(self) -> tuple[str, str] | None:
        name = _ENVIRONMENT["store"]
        if text := os.environ.get(name, "").strip():
            return _located(text, None, name), "environment"
        if (url := _monitor_db()) is not None:
            return url, "environment"
        for path, table in self.files:
            if "store" in table:
                url = _located(str(table["store"]), os.path.dirname(path), path)
                _check_secret(url, path)
                return url, path
        return None


def _located(text: str, base: str | None, where: str) -> str:
    try:
        return canonical_url(text, base)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _monitor_db() -> str | None:
    """The store that the ``MONITOR_DB_*`` variables of existing scripts name."""
    env = os.environ
    if text := env.get("MONITOR_DB_CONN", "").strip():
        return _located(text, None, "MONITOR_DB_CONN")
    if not (env.get("MONITOR_DB_HOST") or env.get("MONITOR_DB_NAME")):
        return None
    return postgres_url(
        host=env.get("MONITOR_DB_HOST") or "localhost",
        port=env.get("MONITOR_DB_PORT", ""),
        name=env.get("MONITOR_DB_NAME", ""),
        user=env.get("MONITOR_DB_USER", ""),
        password=env.get("MONITOR_DB_PASSWORD", ""),
    )


def _check_secret(url: str, path: str) -> None:
    if has_password(url) and os.stat(path).st_mode & 0o077:
        raise ConfigError(f"{path} holds a password that others can read: chmod 600 it, or use ~/.pgpass")


def _start_dir(start: str | None) -> str:
    try:
        return os.path.abspath(start) if start else os.getcwd()
    except OSError:
        # The working directory is gone; there is nothing to search upwards from.
        return "/"


def _project_files(start: str) -> list[str]:
    """The nearest project file upwards from *start*, the dot file before ``pyproject.toml``."""
    directory = start
    while True:
        path = os.path.join(directory, PROJECT_FILE)
        if os.path.isfile(path):
            return [path]
        path = os.path.join(directory, "pyproject.toml")
        if os.path.isfile(path) and _mentions_us(path):
            return [path]
        parent = os.path.dirname(directory)
        if parent == directory:
            return []
        directory = parent


def _mentions_us(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"tool.statustui" in file.read(1_000_000)
    except OSError:
        return False


def _user_file() -> list[str]:
    base = os.environ.get("XDG_CONFIG_HOME", "")
    home = home_dir()
    if not os.path.isabs(base) and home is not None:
        base = os.path.join(home, ".config")
    return [os.path.join(base, "statustui", "config.toml")] if os.path.isabs(base) else []


def _read_file(path: str, notes: list[str]) -> dict[str, object] | None:
    """The table of one configuration file; None when there is none or it may not be used."""
    try:
        with open(path, "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                return None
            data = file.read(1_000_000)
    except FileNotFoundError:
        return None
    except OSError as error:
        notes.append(f"{path} was not read: {error.strerror}")
        return None
    import tomllib

    try:
        table: object = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    for name in ("tool", "statustui") if os.path.basename(path) == "pyproject.toml" else ():
        table = table.get(name) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        return None
    _check_keys(path, table)
    return _trusted_part(path, info, table, notes)


def _check_keys(path: str, table: dict[str, object]) -> None:
    for key, value in table.items():
        kind = _KINDS.get(key)
        if kind is None:
            raise ConfigError(f"{path}: unknown key {key[:60]!r}; known are {', '.join(_KINDS)}")
        good = {
            "text": isinstance(value, str),
            "bool": isinstance(value, bool),
            "seconds": isinstance(value, int | float) and not isinstance(value, bool),
            "list": isinstance(value, list) and all(isinstance(part, str) for part in value),
            "table": isinstance(value, dict) and all(isinstance(part, str) for part in value.values()),
        }[kind]
        if not good:
            raise ConfigError(f"{path}: {key} must be {_WANTED[kind]}")


def _trusted_part(
    path: str, info: os.stat_result, table: dict[str, object], notes: list[str]
) -> dict[str, object] | None:
    """*table* without what somebody else could have written there to harm its reader."""
    if info.st_uid in (0, os.geteuid()) and not info.st_mode & 0o002:
        return table
    who = f"owned by uid {info.st_uid}" if info.st_uid not in (0, os.geteuid()) else "writable by everybody"
    if os.stat(os.path.dirname(path) or ".").st_mode & 0o002:
        # In /tmp and the like anybody can plant a file above other people's directories.
        notes.append(f"{path} was ignored: {who}, in a directory that is writable by everybody")
        return None
    ignored = [key for key in _TRUSTED_ONLY if key in table]
    if ignored:
        notes.append(f"{', '.join(ignored)} in {path} ignored: the file is {who}")
    return {key: value for key, value in table.items() if key not in ignored}


def _default_store(state_dir: str, explicit: bool, notes: list[str]) -> str:
    if not explicit and on_network(state_dir):
        directory = private_dir()
        notes.append(f"the home is on a network file system: the store is {directory}/{STORE_FILE} on this host's disk")
        return canonical_url(os.path.join(directory, STORE_FILE))
    return canonical_url(os.path.join(state_dir, STORE_FILE))


def _stores_file() -> str:
    """Under the home whatever XDG says, since cron and su know no XDG variables."""
    home = home_dir()
    base = os.path.join(home, ".local", "state", "statustui") if home else f"/var/tmp/statustui-{os.geteuid()}"
    return os.path.join(base, "stores")
