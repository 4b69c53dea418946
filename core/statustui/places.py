"""Directories of this user: the home, the state, a private one where neither will do."""

import os
import stat

from statustui.errors import ConfigError

_NETWORK_FS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "9p", "afs", "ceph", "beegfs", "glusterfs")


def home_dir() -> str | None:
    """Home directory, also without HOME; None when there is none that exists."""
    home = os.path.expanduser("~")
    return home if os.path.isabs(home) and os.path.isdir(home) else None


def base_dir() -> str:
    """Directory that holds ``statustui/`` with the state: XDG's, else under the home, else a private one."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(base):
        return base
    home = home_dir()
    if home is None:
        return private_dir()
    base = os.path.join(home, ".local", "state")
    return base if _can_use(os.path.join(base, "statustui")) else private_dir()


def _can_use(path: str) -> bool:
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return os.access(path, os.W_OK | os.X_OK)


def private_dir() -> str:
    """``/var/tmp/statustui-<uid>``, made 0700; refused when it is not this user's alone.

    Raises:
        ConfigError: somebody else made it, or has rights in it.
    """
    path = f"/var/tmp/statustui-{os.geteuid()}"
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; set STATUSTUI_STATE_DIR") from None
    info = os.lstat(path)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o077:
        raise ConfigError(f"{path} is not yours alone: remove it, or set STATUSTUI_STATE_DIR")
    return path


def on_network(path: str, mounts: str = "/proc/self/mounts") -> bool:
    """True when *path* lies on a network file system, where SQLite's WAL is unsafe."""
    try:
        with open(mounts, "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        return False
    wanted, best, kind = os.fsencode(os.path.realpath(path)), b"", b""
    for line in lines:
        fields = line.split(b" ")
        if len(fields) < 3:
            continue
        mount = fields[1].replace(b"\\040", b" ")
        inside = wanted == mount or wanted.startswith(mount.rstrip(b"/") + b"/")
        if inside and len(mount) >= len(best):
            best, kind = mount, fields[2]
    name = kind.decode("ascii", "replace")
    return name in _NETWORK_FS or name.startswith(("fuse.sshfs", "fuse.glusterfs", "fuse.s3"))
