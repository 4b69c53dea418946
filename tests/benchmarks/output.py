"""What reading progress out of output costs: a line, and the command whose output passes through."""

import os
import subprocess
import sys
import tempfile
import time

from benchmarks.harness import Line, interleaved, ms
from statustui.control.output.levels import Levels
from statustui.control.output.stream import Stream
from support.ordinary import KINDS, ordinary
from support.played import Played

_CHUNK = 65_536
_WRITER = """
import sys
line = b"2026-11-22T12:00:00Z INFO request 7 from 10.0.0.1: 12 rows of 3/5 parts in 0.3 s, 45% cached\\n" * 700
for _ in range(18000): sys.stdout.buffer.write(line)
"""


def lines() -> list[Line]:
    """All lines of this group."""
    return [_line(), _passing()]


def _cost(data: bytes) -> float:
    """Seconds of processor time, the best of three."""
    best = 1e9
    for _ in range(3):
        levels, stream, at = Levels(Played(), program="sh", kind="sh"), Stream(), 0.0
        began = time.process_time()
        for i in range(0, len(data), _CHUNK):
            at += 0.5
            for text in stream.feed(data[i : i + _CHUNK]):
                levels.evidence.take(text, at)
        best = min(best, time.process_time() - began)
    return best


def _line() -> Line:
    total, count, each = 0.0, 0, {}
    for kind in KINDS:
        data = ordinary(kind)
        if data is not None:
            cost, number = _cost(data), data.count(b"\n")
            total, count = total + cost, count + number
            each[kind] = 1e6 * cost / number
    worst = max(each, key=lambda kind: each[kind])
    usual = sorted(each.values())[len(each) // 2]
    figure = 1e6 * total / count
    return Line(
        what=f"a line of ordinary output, {len(each)} kinds of 200 kB, searched for progress",
        budget="≤ 2 µs",
        figure=f"{figure:.1f} µs, half of the kinds under {usual:.1f}",
        beside=f"worst {worst}, where every line has percents: {each[worst]:.1f} µs",
        ok=figure <= 2.0,
    )


def _passing() -> Line:
    with tempfile.TemporaryDirectory(prefix="stt-bench-") as home:
        env = {
            **os.environ, "STATUSTUI_STATE_DIR": home, "STATUSTUI_STORE": f"sqlite:///{home}/s.db", "HOME": home,
            "STATUSTUI_DRAINER": "off",
        }  # fmt: skip

        def seconds(progress: str) -> float:
            command = [
                sys.executable,
                "-m",
                "statustui",
                "run",
                "--progress",
                progress,
                "--",
                sys.executable,
                "-c",
                _WRITER,
            ]
            began = time.perf_counter()
            first = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
            subprocess.run(["wc", "-c"], stdin=first.stdout, stdout=subprocess.DEVNULL, check=True)
            first.wait()
            for name in os.listdir(f"{home}/logs"):
                os.unlink(f"{home}/logs/{name}")
            return time.perf_counter() - began

        got = interleaved(5, {"off": lambda: seconds("off"), "auto": lambda: seconds("auto")})
    size = 18000 * 700 * 94 / 1e6
    return Line(
        what=f"`statustui run`, {size:.0f} MB of output passing through, searched for progress",
        budget="as without (± 10 %)",
        figure=f"{size / got['auto']:.0f} MB/s",
        beside=f"--progress off {size / got['off']:.0f} MB/s ({ms(got['off'])}): {got['auto'] / got['off']:.2f}×",
        ok=got["auto"] <= 1.1 * got["off"],
    )
