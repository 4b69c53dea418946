"""Recording from R."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.harness import Line
from statustui.clients.r.install import install

_SCRIPT = """
library(statustui)
cpu <- function(n, f) {
  for (i in 1:300) f()
  took <- system.time(for (i in seq_len(n)) f())
  sum(took[1:2]) / n * 1e6
}
genter("bench", FALSE)
rounds <- replicate(5, {
  sink("/dev/null")
  took <- c(
    progress = cpu(20000, function() track_task_progress(5, 1e6)),
    fact = cpu(3000, function() { genter("a"); gexit() }) / 2,
    bare = cpu(3000, function() {
      cat(strftime(Sys.time(), "[%H:%M:%S] "), "a\\n", sep = "")
      writeLines("x", stdout())
    }) / 2
  )
  sink()
  took
})
cat(sprintf("%.2f", apply(rounds, 1, median)), "\\n")
"""


def lines() -> list[Line]:
    """All lines of this group, in processor time; one that says why where there is no R."""
    if shutil.which("Rscript") is None:
        return [Line(what="recording from R", budget="", figure="skipped", beside="Rscript is missing", ok=None)]
    with tempfile.TemporaryDirectory(prefix="stt-bench-") as home:
        library = install(f"{home}/lib")
        env = {**os.environ, "STATUSTUI_STATE_DIR": f"{home}/state", "STATUSTUI_DRAINER": "off", "R_LIBS": str(library)}
        script = Path(home) / "bench.R"
        script.write_text(_SCRIPT)
        done = subprocess.run(["Rscript", str(script)], env=env, capture_output=True, text=True, check=True)
        progress, fact, bare = map(float, done.stdout.split()[-3:])
    return [
        Line(
            what="R: a throttled `track_task_progress()`", budget="≤ 40 µs", figure=f"{progress:.1f} µs",
            beside=f"a printed line {bare:.1f} µs", ok=progress <= 40,
        ),
        Line(
            what="R: a fact (`genter()`, `gexit()`) in a function, with its line printed", budget="≤ 60 µs",
            figure=f"{fact:.1f} µs", beside=f"a printed line {bare:.1f} µs", ok=fact <= 60,
        ),
    ]  # fmt: skip
