"""Hash every file of the standard library, several algorithms one after the other."""

import hashlib
import sys
from pathlib import Path

import statustui
from statustui.demo.files import sources


def main(workdir: Path, rounds: int) -> None:
    """Write one checksum file an algorithm, as ``sha256sum`` would."""
    algorithms = ("sha256", "sha3_512", "blake2b")
    files = sources()
    with statustui.run("DAILY_01_hash_library", subtasks=len(algorithms), params={"rounds": rounds}) as run:
        for algorithm in algorithms:
            lines: list[str] = []
            for path in run.track(files * rounds, f"{algorithm} of {len(files)} files", unit="files"):
                digest = hashlib.new(algorithm)
                content = path.read_bytes()
                for _ in range(12):
                    digest.update(content)
                lines.append(f"{digest.hexdigest()}  {path.name}\n")
            (workdir / f"checksums.{algorithm}").write_text("".join(sorted(set(lines))))
            print(f"{algorithm}: {len(lines):,} checksums written", flush=True)
        run.metric("files", len(files))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
