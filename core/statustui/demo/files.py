"""The material of the demo: the files of the Python standard library on this machine."""

import os
import sysconfig
from pathlib import Path

_FOREIGN = {"site-packages", "dist-packages"}
_LEAVE_OUT = {*_FOREIGN, "__pycache__", "test", "tests", "idlelib"}


def library() -> Path:
    """The directory of the standard library."""
    return Path(sysconfig.get_path("stdlib"))


def _walk(leave_out: set[str]) -> list[Path]:
    found: list[Path] = []
    for directory, names, files in os.walk(library()):
        names[:] = [name for name in names if name not in leave_out]
        found += [Path(directory, name) for name in files]
    return sorted(path for path in found if path.is_file())


def sources(limit: int | None = None) -> list[Path]:
    """The library's Python sources, in a stable order, at most *limit* of them."""
    return [path for path in _walk(_LEAVE_OUT) if path.suffix == ".py"][:limit]


def packages(limit: int | None = None) -> list[tuple[str, list[Path]]]:
    """Sources by package, the largest first: (name of the package, its files)."""
    groups: dict[str, list[Path]] = {}
    for path in sources():
        parts = path.relative_to(library()).parts
        groups.setdefault(parts[0] if len(parts) > 1 else "(top level)", []).append(path)
    ranked = sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return ranked[:limit]


def everything() -> list[Path]:
    """All regular files of the library, byte code and extensions among them."""
    return _walk(_FOREIGN)
