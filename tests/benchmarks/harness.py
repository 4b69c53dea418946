"""What the benchmarks share: a line of the table, medians of interleaved rounds, whole-process timing."""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of the table."""

    what: str
    budget: str
    """In words, as it was promised."""
    figure: str
    """What was measured."""
    beside: str
    """The peer or the limit measured in the same rounds, and the ratio."""
    ok: bool | None
    """None where the line only informs."""


def interleaved(rounds: int, variants: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """Run each variant once a round, in turn; the median of each.

    Args:
        rounds: how often.
        variants: by name, a function that returns its own measurement.
    """
    seen: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, variant in variants.items():
            seen[name].append(variant())
    return {name: statistics.median(values) for name, values in seen.items()}


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which *share* of *values* lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def wall(command: Sequence[str], env: Mapping[str, str] | None = None) -> Callable[[], float]:
    """A variant that runs *command* as a whole process and returns its seconds."""

    def run() -> float:
        start = time.perf_counter()
        subprocess.run(command, env=dict(env or os.environ), check=False, capture_output=True, stdin=subprocess.DEVNULL)
        return time.perf_counter() - start

    return run


def peak_mb(command: Sequence[str], env: Mapping[str, str] | None = None) -> float:
    """Peak resident memory of *command* in MB, from the kernel's own account."""
    code = (
        "import os,resource,sys;p=os.posix_spawnp(sys.argv[1],sys.argv[1:],os.environ);os.waitpid(p,0);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, *command],
        env=dict(env or os.environ),
        capture_output=True,
        check=True,
    )
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    return int(done.stderr.split()[-1]) / unit


def own_rss_mb() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ms(seconds: float) -> str:
    """Seconds as milliseconds, in words."""
    value = seconds * 1000
    return f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"


def table(lines: Sequence[Line]) -> str:
    """The table, as Markdown."""
    head = "| what | budget | figure | beside it | |\n| --- | --- | --- | --- | --- |"
    mark = {True: "ok", False: "**missed**", None: ""}
    rows = [f"| {x.what} | {x.budget} | {x.figure} | {x.beside} | {mark[x.ok]} |" for x in lines]
    return "\n".join([head, *rows])
