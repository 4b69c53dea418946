"""What the hooks for other tools cost, beside those tools without us."""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.harness import Line, interleaved, ms, wall

_N = 1_000_000
_NS = 1e9


def lines() -> list[Line]:
    """All lines of this group."""
    with tempfile.TemporaryDirectory(prefix="st-bench-") as home:
        os.environ["STATUSTUI_STATE_DIR"] = home
        os.environ["STATUSTUI_STORE"] = f"{home}/status.db"
        os.environ["STATUSTUI_DRAINER"] = "off"
        import statustui

        with statustui.run("bench_hooks"):
            found = [*_loops(), *_calls(), *_records(home)]
        return [*found, *_programs(home)]


def _cpu(work: Callable[[], object], times: int) -> Callable[[], float]:
    """Seconds of processor time for one of *times*."""

    def run() -> float:
        start = time.process_time()
        work()
        return (time.process_time() - start) / times

    return run


def _exhaust(made: Callable[[], Iterable[object]]) -> Callable[[], None]:
    def work() -> None:
        for _ in made():
            pass

    return work


def _loops() -> list[Line]:
    from tqdm import tqdm

    from statustui.contrib.tqdm import tqdm as ours

    data = range(_N)
    with open(os.devnull, "w") as null:
        got = interleaved(
            7,
            {
                "bare": _cpu(_exhaust(lambda: data), _N),
                "tqdm": _cpu(_exhaust(lambda: tqdm(data, file=null)), _N),
                "ours": _cpu(_exhaust(lambda: ours(data, file=null)), _N),
                "off": _cpu(_exhaust(lambda: tqdm(data, disable=True)), _N),
                "ours off": _cpu(_exhaust(lambda: ours(data, disable=True)), _N),
            },
        )
    shown, plain = got["ours"] - got["bare"], got["tqdm"] - got["bare"]
    off, plain_off = got["ours off"] - got["bare"], got["off"] - got["bare"]
    return [
        Line(
            what="`for x in tqdm(…)`, the drop-in",
            budget="≤ 1.1× tqdm's own",
            figure=f"{shown * _NS:.0f} ns an item over the bare loop",
            beside=f"tqdm {plain * _NS:.0f} ns: {shown / plain:.2f}×",
            ok=shown <= 1.1 * plain,
        ),
        Line(
            what="the same with `disable=True`, counted all the same",
            budget="≤ 6 ns an item",
            figure=f"{off * _NS:.1f} ns over the bare loop",
            beside=f"tqdm, which counts nothing then, {plain_off * _NS:.1f} ns",
            ok=off * _NS <= 6,
        ),
    ]


def _calls() -> list[Line]:
    from tqdm import tqdm

    from statustui.contrib.tqdm import tqdm as ours

    with open(os.devnull, "w") as null:

        def update(cls: Any) -> None:
            with cls(total=_N, file=null) as bar:
                step = bar.update
                for _ in range(_N):
                    step()

        def make(cls: Any) -> None:
            for _ in range(500):
                cls(total=3, file=null).close()

        got = interleaved(7, {"tqdm": _cpu(lambda: update(tqdm), _N), "ours": _cpu(lambda: update(ours), _N)})
        made = interleaved(7, {"tqdm": _cpu(lambda: make(tqdm), 500), "ours": _cpu(lambda: make(ours), 500)})
    more = (made["ours"] - made["tqdm"]) * 1e6
    return [
        Line(
            what="`bar.update()` of the drop-in",
            budget="≤ 1.1× tqdm's own",
            figure=f"{got['ours'] * _NS:.0f} ns",
            beside=f"tqdm {got['tqdm'] * _NS:.0f} ns: {got['ours'] / got['tqdm']:.2f}×",
            ok=got["ours"] <= 1.1 * got["tqdm"],
        ),
        Line(
            what="a bar of the drop-in, begun and ended",
            budget="≤ 60 µs more than tqdm's own",
            figure=f"{made['ours'] * 1e6:.0f} µs",
            beside=f"tqdm {made['tqdm'] * 1e6:.0f} µs; two facts",
            ok=more <= 60,
        ),
    ]


def _records(home: str) -> list[Line]:
    from statustui.contrib.logging import Handler

    def logger(name: str, handler: logging.Handler) -> logging.Logger:
        made = logging.getLogger(name)
        made.propagate = False
        made.setLevel(logging.INFO)
        made.addHandler(handler)
        return made

    times = 2_000
    kept = logger("bench.kept", Handler(rate=1e9, burst=10**9))
    flood = logger("bench.flood", Handler(rate=0.0, burst=1))
    file = logger("bench.file", logging.FileHandler(f"{home}/log.txt"))

    def say(to: logging.Logger) -> Callable[[], float]:
        def work() -> None:
            for n in range(times):
                to.info("row %d of %s", n, "table")

        return _cpu(work, times)

    got = interleaved(9, {"kept": say(kept), "flood": say(flood), "file": say(file)})
    return [
        Line(
            what="a log record as an event",
            budget="≤ 3× a `FileHandler`",
            figure=f"{got['kept'] * 1e6:.1f} µs",
            beside=f"FileHandler {got['file'] * 1e6:.1f} µs: {got['kept'] / got['file']:.2f}×",
            ok=got["kept"] <= 3 * got["file"],
        ),
        Line(
            what="a log record of a flood, counted only",
            budget="≤ 1× a `FileHandler`",
            figure=f"{got['flood'] * 1e6:.1f} µs",
            beside=f"FileHandler {got['file'] * 1e6:.1f} µs: {got['flood'] / got['file']:.2f}×",
            ok=got["flood"] <= got["file"],
        ),
    ]


def _programs(home: str) -> list[Line]:
    script = Path(home) / "nothing.py"
    script.write_text("import sys, time\nsys.stdout.write(str(time.monotonic()))\n")
    python = sys.executable
    plain, wrapped, hooked = (
        [python, str(script)],
        [python, "-m", "statustui", "run", "--", python, str(script)],
        [python, "-m", "statustui", "run", str(script)],
    )

    def until(command: list[str]) -> Callable[[], float]:
        def run() -> float:
            start = time.monotonic()
            return float(subprocess.run(command, capture_output=True, check=True).stdout) - start

        return run

    first = interleaved(11, {"plain": until(plain), "wrapped": until(wrapped), "hooked": until(hooked)})
    whole = interleaved(11, {"plain": wall(plain), "wrapped": wall(wrapped), "hooked": wall(hooked)})
    return [
        Line(
            what="`python -m statustui run script.py`: until its first line",
            budget="≤ 15 ms after `run -- python script.py`",
            figure=ms(first["hooked"]),
            beside=f"python script.py {ms(first['plain'])}, run -- python script.py {ms(first['wrapped'])}",
            ok=first["hooked"] - first["wrapped"] <= 0.015,
        ),
        Line(
            what="`python -m statustui run script.py`, whole",
            budget="≤ 15 ms over `run -- python script.py`",
            figure=ms(whole["hooked"]),
            beside=f"python script.py {ms(whole['plain'])}, run -- python script.py {ms(whole['wrapped'])}",
            ok=whole["hooked"] - whole["wrapped"] <= 0.015,
        ),
    ]
