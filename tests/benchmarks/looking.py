"""What looking costs: logs of any size, and the trees of a thousand processes."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable
from pathlib import Path

import psutil

from benchmarks.harness import Line, ms

SIZE = int(os.environ.get("STATUSTUI_BENCH_LOG", str(2 << 30)))
_PROCESSES = 1000


def lines() -> list[Line]:
    """All lines of this group."""
    return [*_logs(), *_trees()]


def _timed(call: Callable[[], object], rounds: int) -> float:
    took = []
    for _ in range(rounds):
        at = time.perf_counter()
        call()
        took.append(time.perf_counter() - at)
    return statistics.median(took)


def _logs() -> list[Line]:
    from statustui_tui.widgets.log_open import place_of_error
    from statustui_tui.widgets.log_search import Matcher, search
    from statustui_tui.widgets.log_source import LogFile

    block = b"".join(b"2026-11-22 03:04:%02d row %06d of the table was written\n" % (i % 60, i) for i in range(20_000))
    with tempfile.TemporaryDirectory(prefix="stt-bench-") as home:
        path = Path(home) / "big.log"
        with path.open("wb") as file:
            while file.tell() < SIZE:
                file.write(block)
            file.write(b"KeyError: 'FIPS' needlexq\n" + block[: 1 << 20])
        size = f"{path.stat().st_size / (1 << 30):.1f} GB"

        def opened() -> None:
            log = LogFile(str(path))
            place_of_error(log, "KeyError: 'FIPS'")
            log.close()

        def tail() -> None:
            fd = os.open(path, os.O_RDONLY)
            os.pread(fd, 1 << 20, path.stat().st_size - (1 << 20))
            os.close(fd)

        log = LogFile(str(path))

        def sought() -> None:
            assert search(log, Matcher("needlexq"), 0, forward=True, stopped=lambda: False) is not None

        open_s, pread_s, search_s = _timed(opened, 7), _timed(tail, 7), _timed(sought, 3)
        log.close()
    return [
        Line(
            what=f"a log of {size}: open at the recorded error",
            budget="≤ 50 ms",
            figure=ms(open_s),
            beside=f"pread of the last MiB {ms(pread_s)}",
            ok=open_s <= 0.050,
        ),
        Line(
            what=f"a log of {size}: search from the start to its end",
            budget="≤ 3 s, without freezing",
            figure=f"{search_s:.2f} s, in a thread",
            beside="",
            ok=search_s <= 3 * max(1.0, SIZE / (2 << 30)),
        ),
    ]


def _trees() -> list[Line]:
    from statustui.process import tree

    code = (
        "import os,signal,sys,time\n"
        "for i in range(100):\n"
        "  if os.fork() == 0: time.sleep(120); os._exit(0)\n"
        "print(flush=True)\nsys.stdin.read()\nos.killpg(0, signal.SIGKILL)"
    )
    roots = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        for _ in range(_PROCESSES // 100)
    ]
    try:
        for root in roots:
            assert root.stdout is not None
            root.stdout.readline()
        sampler = tree.Sampler(costly=False)  # as the monitor has it
        wanted: dict[Hashable, tuple[int, int | None]] = {i: (root.pid, None) for i, root in enumerate(roots)}
        sampler.sample(wanted)
        ours = _timed(lambda: sampler.sample(wanted), 9)

        def peer() -> None:
            for root in roots:
                for child in psutil.Process(root.pid).children(recursive=True):
                    with child.oneshot():
                        child.cpu_times(), child.memory_info()

        theirs = _timed(peer, 3)
    finally:
        for root in roots:
            assert root.stdin is not None
            root.stdin.close()
            root.wait()
            assert root.stdout is not None
            root.stdout.close()
    return [
        Line(
            what=f"CPU and memory of the trees of {_PROCESSES:,} processes",
            budget="≤ 10 ms",
            figure=ms(ours),
            beside=f"psutil children + oneshot {ms(theirs)}: {theirs / ours:.0f}×",
            ok=ours <= 0.010,
        )
    ]
