"""Which machine, boot and pid namespace this process is in. Standard library only, cheap to import."""

import os
import sys

_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline(200).strip()
    except OSError:
        return ""


def host_name() -> str:
    """Name of this host as the kernel has it."""
    return os.uname().nodename or "localhost"


def machine_id() -> str:
    """Stable name of this machine: its machine id, a dash, its host name; safe as a file name."""
    ident = next((text for text in map(_first_line, _ID_FILES) if text.isalnum()), "nomachineid")
    host = "".join(c if c.isalnum() or c in "._-" else "_" for c in host_name()).lstrip(".") or "localhost"
    return f"{ident}-{host}"[:200]


def pid_namespace() -> int:
    """Inode of this process's pid namespace; 0 where there is no such thing."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def boot_id() -> str:
    """Id of this boot of the kernel; empty where it can not be had."""
    text = _first_line("/proc/sys/kernel/random/boot_id")
    if text or sys.platform != "darwin":
        return text
    import ctypes

    size = ctypes.c_size_t(64)
    buffer = ctypes.create_string_buffer(64)
    code = ctypes.CDLL(None).sysctlbyname(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, 0)
    return buffer.value.decode("ascii", "replace").lower() if code == 0 else ""
