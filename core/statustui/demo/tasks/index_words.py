"""Build a full index of the names used in the standard library, in a SQLite database."""

import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import statustui
from statustui.demo.files import sources

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,}")


def main(workdir: Path, rounds: int) -> None:
    """Read, write and verify: three subtasks of different kinds, one with an unknown total."""
    target = workdir / "words.db"
    target.unlink(missing_ok=True)
    files = sources()
    with statustui.run("PREREQ_00_index_words", subtasks=3) as run, sqlite3.connect(target) as db:
        db.execute("CREATE TABLE words (word TEXT, file TEXT, n INTEGER)")
        counts: dict[str, Counter[str]] = {}
        for path in run.track(files * rounds, "Read sources", unit="files"):
            counts[path.name] = Counter(_WORD.findall(path.read_text(encoding="utf-8", errors="replace")))
        with run.subtask("Write rows", unit="rows") as sub:  # how many there will be is not known before
            for chunk in _chunks(counts):
                db.executemany("INSERT INTO words VALUES (?, ?, ?)", chunk)
                sub.advance(len(chunk), message=f"up to {chunk[-1][1]}")
        with run.subtask("Verify", total=len(counts), unit="files") as sub:
            db.execute("CREATE INDEX by_file ON words (file)")
            for name, expected in counts.items():
                (n,) = db.execute("SELECT sum(n) FROM words WHERE file = ?", (name,)).fetchone()
                assert (n or 0) == expected.total(), f"{name}: {n} words in the index, {expected.total()} in the file"
                sub.advance()
        run.metric("rows", db.execute("SELECT count(*) FROM words").fetchone()[0])
    print(f"indexed {len(counts):,} files", flush=True)


def _chunks(counts: dict[str, Counter[str]], size: int = 2_000) -> Iterator[list[tuple[str, str, int]]]:
    chunk: list[tuple[str, str, int]] = []
    for name, words in counts.items():
        chunk.extend((word, name, n) for word, n in words.items())
        while len(chunk) >= size:
            yield chunk[:size]
            chunk = chunk[size:]
    if chunk:
        yield chunk


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
