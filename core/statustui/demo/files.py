"""The material of the demo: the files of the Python standard library on this machine."""

import sysconfig
from pathlib import Path

_LEAVE_OUT = {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idlelib"}


def library() -> Path:
    """The directory of the standard library."""
    return Path(sysconfig.get_path("stdlib"))


def sources(limit: int | None = None) -> list[Path]:
    """The library's Python sources, in a stable order, at most *limit* of them."""
    found = sorted(
        path for path in library().rglob("*.py") if not _LEAVE_OUT.intersection(path.relative_to(library()).parts[:-1])
    )
    return found[:limit]


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
    return sorted(
        path
        for path in library().rglob("*")
        if path.is_file() and not {"site-packages", "dist-packages"}.intersection(path.parts)
    )
