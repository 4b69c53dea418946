"""What failures of one kind have in common, as a short key."""

import re

_NORMAL = (
    (re.compile(r"'[^'\n]{0,400}'|\"[^\"\n]{0,400}\"|`[^`\n]{0,400}`"), "<q>"),
    (re.compile(r"(?<![\w.~-])(?:~|\.{1,2}|[A-Za-z]:)?[/\\][^\s:,;()\[\]{}<>|'\"]{1,400}"), "<path>"),
    (
        re.compile(
            r"\b(?:0[xX][0-9a-fA-F]+|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
            r"|(?=[a-f0-9]*[0-9])[a-f0-9]{12,64})\b"
        ),
        "<hex>",
    ),
    (re.compile(r"\d[\d.,_]*"), "<n>"),
    (re.compile(r"\s+"), " "),
)


def normalise(text: str) -> str:
    """*text* with everything that differs between two failures of one kind replaced by marks."""
    text = text[:2_000]
    for pattern, mark in _NORMAL:
        text = pattern.sub(mark, text)
    return text.strip()


def fingerprint(error_type: str, message: str, subtask: str | None = None) -> str:
    """Key of one kind of failure: 12 hex digits of SHA-1 over type, message and subtask, normalised.

    Quoted values, paths, hexadecimal numbers and digits do not count: ``KeyError: 'FIPS'`` in
    "Load file 3" and ``KeyError: 'NAME'`` in "Load file 4" are of one kind.
    """
    from hashlib import sha1

    parts = "\0".join((error_type, normalise(message), normalise(subtask or "")))
    return sha1(parts.encode("utf-8", "backslashreplace"), usedforsecurity=False).hexdigest()[:12]
