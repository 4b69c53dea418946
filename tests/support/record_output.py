"""Makes tests/recordings anew: ``python tests/support/record_output.py [name …]``.

Each program is run for real, once on a pseudo-terminal of 100×24 and once through a pipe, in the neutral directory
``/tmp/x``, and what it prints is kept with its times. Programs that are not installed are left out and named.
"""

import base64
import fcntl
import http.server
import json
import os
import platform
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path("/tmp/x")
KEEP = Path(__file__).resolve().parents[1] / "recordings"
PORT = 8123
RATE = 1_500_000
_GATHER_S = 0.04
_ENV = {
    "PATH": f"{ROOT}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(ROOT), "TERM": "xterm-256color",
    "LANG": "C.UTF-8", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_CACHE_DIR": "1", "PIP_CONFIG_FILE": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull, "PIP_ROOT_USER_ACTION": "ignore", "DEBIAN_FRONTEND": "noninteractive",
}  # fmt: skip


# What is this machine's own.
_SCRUB = (
    (str(Path(sys.executable).parent), "/usr/bin"), (platform.platform(), "Linux"),
    (os.uname().nodename + "\n", "db1\n"), (os.uname().nodename + "\r\n", "db1\r\n"), (os.uname().release, "6.1"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """One program to record."""

    name: str
    command: str
    """For ``sh -c``, in the case's own directory."""
    needs: str
    """Program without which it is left out."""
    version: str
    prepare: Callable[[Path], None] = lambda directory: None
    """Called before each recording."""
    after: str = "true"


def _write(name: str, text: str, directory: Path) -> None:
    (directory / name).write_text(text)


def _noise(directory: Path, *sizes: int) -> None:
    for number, size in enumerate(sizes, 1):
        (directory / f"part{number}.bin").write_bytes(os.urandom(size))


TQDM_ONE = """
import time
from tqdm import tqdm
for state in tqdm(range(70), desc="Loading states"):
    time.sleep(0.04)
"""
TQDM_NESTED = """
import time
from tqdm import tqdm
for epoch in tqdm(range(3), desc="epochs"):
    for batch in tqdm(range(45), desc=f"epoch {epoch + 1}", leave=False):
        time.sleep(0.04)
"""
TQDM_BYTES = """
import time
from tqdm import tqdm
with tqdm(total=48_000_000, unit="B", unit_scale=True, desc="big.iso") as bar:
    for _ in range(60):
        time.sleep(0.05)
        bar.update(800_000)
"""
RICH = """
import time
from rich.progress import Progress
with Progress() as progress:
    for name, size in (("Reading", 40), ("Writing", 60)):
        task = progress.add_task(name, total=size)
        for i in range(size):
            time.sleep(0.04)
            if i % 25 == 0:
                progress.console.print(f"{name.lower()} block {i} of many")
            progress.advance(task)
"""
RICH_MANY = """
import time
from rich.progress import Progress
with Progress() as progress:
    tasks = [progress.add_task(f"[green]worker {n}", total=50 * n) for n in (1, 2, 3)]
    while not progress.finished:
        for task in tasks:
            progress.advance(task, 1)
        time.sleep(0.03)
"""
R_STYLE = """
pb <- txtProgressBar(max = 60, style = {style})
for (i in 1:60) {{ Sys.sleep(0.05); setTxtProgressBar(pb, i) }}
close(pb)
"""
SNAKEFILE = """
NAMES = list("abcdefghijkl")
rule all:
    input: expand("{n}.done", n=NAMES)
rule one:
    output: "{n}.done"
    shell: "sleep 0.25; touch {output}"
"""
NINJA = "rule nap\n command = sleep 0.1; touch $out\n description = Making $out\n" + "".join(
    f"build out{n}: nap\n" for n in range(40)
)
CMAKE = "cmake_minimum_required(VERSION 3.13)\nproject(x NONE)\n" + "".join(
    f"add_custom_command(OUTPUT f{n} COMMAND sleep 0.15 COMMAND touch f{n})\n" for n in range(25)
) + "add_custom_target(t ALL DEPENDS " + " ".join(f"f{n}" for n in range(25)) + ")\n"  # fmt: skip
OSC = """
for p in 0 10 20 30 40 50 60 70 80 90 100; do printf '\\033]9;4;1;%s\\007' $p; echo "block $p"; sleep 0.2; done
printf '\\033]9;4;0\\007'
"""
PLAIN = """
for p in $(seq 0 5 100); do echo "Progress: $p%"; sleep 0.1; done
"""
FILES = """
for n in 1 2 3 4 5 6 7 8; do echo "$(date +%T) copied $n of 8 files"; sleep 0.4; done
"""
STAGES = """
for n in 1 2 3; do echo "Stage $n/3: part$n"; i=0
while [ $i -lt 20 ]; do i=$((i + 1)); printf '\\r%3d%% of part' $((i * 5)); sleep 0.06; done; echo; done
"""


def _tree(*sizes_and_directory: object) -> None:
    *sizes, directory = sizes_and_directory
    assert isinstance(directory, Path)
    (directory / "from").mkdir()
    _noise(directory / "from", *(size for size in sizes if isinstance(size, int)))


def _film(directory: Path) -> None:
    command = ["ffmpeg", "-f", "lavfi", "-i", "testsrc=d=5:s=64x48:r=10", "in.mp4"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)


def _cmake(directory: Path) -> None:
    _write("CMakeLists.txt", CMAKE, directory)
    subprocess.run(["cmake", "-S", ".", "-B", "b"], cwd=directory, check=True, capture_output=True)


def _git(directory: Path) -> None:
    source = directory / "source"
    source.mkdir()
    for number in range(300):
        (source / f"f{number}").write_bytes(os.urandom(15_000))
    who = ["-c", "user.name=x", "-c", "user.email=x@x"]
    for args in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", *args], cwd=source, check=True, env=_ENV)
    _write("slow", f'#!/bin/sh\ngit-upload-pack "$@" | pv -qL {RATE // 1000}k\n', directory)
    (directory / "slow").chmod(0o755)


def _wheel(directory: Path) -> None:
    """Two wheels of noise, and the index that pip asks."""
    for name, size in (("alpha", 4_000_000), ("beta", 3_000_000)):
        place = ROOT / "www" / name
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{name}-1.0-py3-none-any.whl"
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{name}.bin", os.urandom(size))
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{info}/RECORD", "")
        (place / "index.html").write_text(f'<!DOCTYPE html><a href="{path.name}">{path.name}</a>')


def _debs(directory: Path) -> None:
    for number in range(1, 7):
        root = directory / f"statustui-recording-{number}"
        (root / "DEBIAN").mkdir(parents=True)
        _write("DEBIAN/control", f"Package: {root.name}\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@x>\n"
               "Description: x\n", root)  # fmt: skip
        _write("DEBIAN/postinst", "#!/bin/sh\nsleep 0.3\n", root)
        _write("DEBIAN/preinst", "#!/bin/sh\nsleep 0.2\n", root)
        for script in ("preinst", "postinst"):
            (root / "DEBIAN" / script).chmod(0o755)
        subprocess.run(["dpkg-deb", "-b", str(root), f"{root}.deb"], check=True, capture_output=True)


def _fifo(directory: Path) -> None:
    _noise(directory, 9_000_000)
    os.mkfifo(directory / "fifo")


_URL = f"http://127.0.0.1:{PORT}"
_SLOW = f"pv -qL {RATE // 500}k fifo >/dev/null & "
CASES = (
    Case(name="tqdm", command="python3 one.py", needs="tqdm", version="python3 -m tqdm --version",
         prepare=partial(_write, "one.py", TQDM_ONE)),
    Case(name="tqdm-nested", command="python3 nested.py", needs="tqdm", version="python3 -m tqdm --version",
         prepare=partial(_write, "nested.py", TQDM_NESTED)),
    Case(name="tqdm-bytes", command="python3 bytes.py", needs="tqdm", version="python3 -m tqdm --version",
         prepare=partial(_write, "bytes.py", TQDM_BYTES)),
    Case(name="rich", command="python3 two.py", needs="rich", version="pip show rich | grep Version",
         prepare=partial(_write, "two.py", RICH)),
    Case(name="rich-many", command="python3 many.py", needs="rich", version="pip show rich | grep Version",
         prepare=partial(_write, "many.py", RICH_MANY)),
    Case(name="ninja", command="ninja -j2", needs="ninja", version="ninja --version",
         prepare=partial(_write, "build.ninja", NINJA)),
    Case(name="cmake-make", command="make -C b", needs="cmake", version="cmake --version; make --version",
         prepare=_cmake),
    Case(name="snakemake", command="snakemake -c2", needs="snakemake", version="snakemake --version",
         prepare=partial(_write, "Snakefile", SNAKEFILE)),
    Case(name="pip", command=f"pip download --no-deps -d . -i {_URL}/ alpha beta", needs="pip", version="pip --version",
         prepare=_wheel),
    Case(name="wget", command=f"wget {_URL}/big.bin {_URL}/small.bin", needs="wget", version="wget --version"),
    Case(name="curl", command=f"curl -O {_URL}/big.bin -O {_URL}/small.bin", needs="curl", version="curl --version"),
    Case(name="curl-bar", command=f"curl -# -O {_URL}/big.bin", needs="curl", version="curl --version"),
    Case(name="aria2", command=f"aria2c --summary-interval=1 {_URL}/big.bin", needs="aria2c", version="aria2c -v"),
    Case(name="rsync-progress2", command="rsync -a --bwlimit=2500 --info=progress2 from/ to", needs="rsync",
         version="rsync --version",
         prepare=partial(_tree, *[800_000] * 10)),
    Case(name="rsync-progress", command="rsync -a --bwlimit=2500 --progress from/ to", needs="rsync",
         version="rsync --version",
         prepare=partial(_tree, 4_000_000, 3_000_000, 50_000)),
    Case(name="git-clone", command='git clone --progress --upload-pack="$PWD/slow" "file://$PWD/source" copy',
         needs="pv", version="git --version", prepare=_git),
    Case(name="apt", command="apt-get install -y --no-install-recommends -o Dpkg::Progress-Fancy=1 "
         "-o APT::Sandbox::User=root "
         "-o Dir::Etc::sourceparts=- -o Dir::Etc::sourcelist=/dev/null ./*.deb",
         needs="apt-get", version="apt-get --version", prepare=_debs,
         after="dpkg --purge " + " ".join(f"statustui-recording-{n}" for n in range(1, 7))),
    Case(name="r-style1", command="Rscript bar.R", needs="Rscript", version="Rscript --version",
         prepare=partial(_write, "bar.R", R_STYLE.format(style=1))),
    Case(name="r-style3", command="Rscript bar.R", needs="Rscript", version="Rscript --version",
         prepare=partial(_write, "bar.R", R_STYLE.format(style=3))),
    Case(name="dd", command=f"{_SLOW}dd if=part1.bin of=fifo bs=64k status=progress", needs="pv",
         version="dd --version", prepare=_fifo),
    Case(name="pv", command="pv -f -L 2500k part1.bin >/dev/null", needs="pv", version="pv --version",
         prepare=lambda d: _noise(d, 8_000_000)),
    Case(name="ffmpeg", command="ffmpeg -hide_banner -re -i in.mp4 -f null -", needs="ffmpeg",
         version="ffmpeg -version", prepare=_film),
    Case(name="parallel", command="parallel --will-cite --bar -j2 sleep 0.{} ::: 3 4 5 6 3 4",
         needs="parallel", version="parallel --version"),
    Case(name="osc94", command="sh osc.sh", needs="sh", version="true", prepare=partial(_write, "osc.sh", OSC)),
    Case(name="plain-percent", command="sh p.sh", needs="sh", version="true", prepare=partial(_write, "p.sh", PLAIN)),
    Case(name="plain-files", command="sh f.sh", needs="sh", version="true", prepare=partial(_write, "f.sh", FILES)),
    Case(name="stages", command="sh s.sh", needs="sh", version="true", prepare=partial(_write, "s.sh", STAGES)),
)  # fmt: skip


class _Slow(http.server.SimpleHTTPRequestHandler):
    """Serves ROOT/www at RATE bytes a second."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args, directory=str(ROOT / "www"))  # type: ignore[arg-type]

    def copyfile(self, source: object, outputfile: object) -> None:
        while data := source.read(RATE // 20):  # type: ignore[attr-defined]
            outputfile.write(data)  # type: ignore[attr-defined]
            time.sleep(0.05)

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


def record(command: str, directory: Path, *, terminal: bool) -> tuple[list[tuple[float, bytes]], int]:
    """Run a command and take down what it prints: [(seconds since the start, bytes)], exit status."""
    read, write = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(write, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=directory, env=_ENV, stdin=subprocess.DEVNULL, stdout=write, stderr=write,
        start_new_session=True, preexec_fn=partial(fcntl.ioctl, 1, termios.TIOCSCTTY, 0) if terminal else None,
    )  # fmt: skip
    os.close(write)
    start, pieces = time.monotonic(), []
    while True:
        try:
            data = os.read(read, 65_536)
        except OSError:
            break
        if not data:
            break
        at = time.monotonic() - start
        while select.select([read], [], [], max(0.0, start + at + _GATHER_S - time.monotonic()))[0]:
            try:
                more = os.read(read, 65_536)
            except OSError:
                break
            if not more:
                break
            data += more
        for ours, neutral in _SCRUB:
            data = data.replace(ours.encode(), neutral.encode())
        pieces.append((round(at, 3), data))
    os.close(read)
    return pieces, process.wait()


def _there(case: Case) -> bool:
    if case.needs in ("tqdm", "rich"):
        return subprocess.run(["python3", "-c", f"import {case.needs}"], env=_ENV, capture_output=True).returncode == 0
    return shutil.which(case.needs, path=_ENV["PATH"]) is not None


def main(names: list[str]) -> int:
    """Record the cases named, or all."""
    shutil.rmtree(ROOT, ignore_errors=True)
    (ROOT / "www").mkdir(parents=True)
    (ROOT / "bin").mkdir()
    for tool in ("python3", "pip", "snakemake"):
        own = Path(sys.executable).parent / tool
        if own.exists():
            _write(tool, f'#!/bin/sh\nexec "{own}" "$@"\n', ROOT / "bin")
            (ROOT / "bin" / tool).chmod(0o755)
    (ROOT / "www/big.bin").write_bytes(os.urandom(5_000_000))
    (ROOT / "www/small.bin").write_bytes(os.urandom(2_500_000))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), _Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for case in CASES:
        if names and case.name not in names:
            continue
        if not _there(case):
            print(f"{case.name}: left out, no {case.needs}")
            continue
        told = subprocess.run(["sh", "-c", case.version], env=_ENV, capture_output=True, text=True)
        version = (told.stdout or told.stderr).strip().split("\n")[0].split(" from ")[0]
        for terminal in (True, False):
            directory = ROOT / case.name
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            case.prepare(directory)
            pieces, status = record(case.command, directory, terminal=terminal)
            subprocess.run(["sh", "-c", case.after], env=_ENV, cwd=directory, capture_output=True)
            kind = "pty" if terminal else "pipe"
            head = {"command": case.command, "version": version, "kind": kind, "status": status}
            lines = [head, *([at, base64.b64encode(data).decode()] for at, data in pieces)]
            path = KEEP / f"{case.name}.{kind}.jsonl"
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            print(f"{path.name}: {len(pieces)} pieces, {path.stat().st_size} bytes, status {status}")
    server.shutdown()
    shutil.rmtree(ROOT, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
