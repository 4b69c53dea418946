"""How much ``dd`` is going to copy, from its arguments: it tells what it has copied and nothing more."""

import os
import re
import stat

_FACTORS = {
    "": 1, "c": 1, "w": 2, "b": 512, "k": 1 << 10, "K": 1 << 10, "kB": 1000, "KB": 1000, "M": 1 << 20, "MB": 10**6,
    "G": 1 << 30, "GB": 10**9, "T": 1 << 40, "TB": 10**12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}  # fmt: skip


def total(argv: list[str], cwd: str | None = None) -> int | None:
    """Bytes that a command line of ``dd`` copies; None where it is no ``dd`` or does not say."""
    if os.path.basename(argv[0]) != "dd":
        return None
    given = dict(word.split("=", 1) for word in argv[1:] if "=" in word)
    flags = given.get("iflag", "").split(",")
    block = _bytes(given.get("ibs") or given.get("bs") or "512")
    count, skip = _bytes(given.get("count", "0")), _bytes(given.get("skip", "0"))
    if not block or count is None or skip is None:
        return None
    limit = count * (1 if "count_bytes" in flags else block) if "count" in given else None
    path = given.get("if")
    if path is None:
        return limit if "fullblock" in flags else None
    try:
        found = os.stat(os.path.join(cwd or "", path))
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return limit if stat.S_ISCHR(found.st_mode) else None
    size = max(0, found.st_size - skip * (1 if "skip_bytes" in flags else block))
    return size if limit is None else min(size, limit)


def _bytes(text: str) -> int | None:
    found = re.fullmatch(r"([0-9]{1,15})([A-Za-z]{0,3})", text)
    if found is None or found[2] not in _FACTORS:
        return None
    return int(found[1]) * _FACTORS[found[2]]
