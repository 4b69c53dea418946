"""Compress the standard library package by package and prove each archive by reading it back."""

import io
import lzma
import sys
import tarfile
from pathlib import Path

import statustui
from statustui.demo.files import packages


def main(workdir: Path, rounds: int) -> None:
    """One ``.tar.xz`` a package; a subtask for each, an item for each file."""
    groups = packages(8 + 4 * rounds)
    before = after = 0
    with statustui.run("DAILY_02_compress_packages", subtasks=len(groups)) as run:
        run.subtasks({f"Compress {name}": len(files) for name, files in groups})  # large ones weigh more
        for name, files in groups:
            with run.subtask(f"Compress {name}", total=len(files), unit="files") as sub:
                buffer = io.BytesIO()
                with tarfile.open(fileobj=buffer, mode="w") as archive:
                    for path in files:
                        archive.add(path, arcname=f"{name}/{path.name}")
                        before += path.stat().st_size
                        packed = lzma.compress(path.read_bytes(), preset=4)
                        after += len(packed)
                        sub.advance(message=f"{path.name}: {len(packed):,} bytes")
                whole = lzma.compress(buffer.getvalue(), preset=1)
                with tarfile.open(fileobj=io.BytesIO(lzma.decompress(whole))) as archive:
                    assert len(archive.getnames()) == len(files), f"{name}: files are missing in the archive"
                (workdir / f"{name.strip('()').replace(' ', '_')}.tar.xz").write_bytes(whole)
            run.message = f"{name} done, {after / max(1, before):.0%} of its size"
            print(f"{name}: {len(files)} files, {after:,} of {before:,} bytes so far", flush=True)
        run.metric("bytes_before", before)
        run.metric("bytes_after", after)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
