"""A store with a bit of everything, as a day of work leaves it."""

import time
from dataclasses import dataclass

from statustui.store.open import Store, open_store
from support.stores import T0, Journal, give

START = {"stage": "DAILY", "type": "python", "args": ["load.py", "--all"], "pid": 100}


def now() -> float:
    """The present time in seconds since T0."""
    return time.time() - T0


@dataclass
class Filled:
    """A store and the journal that its facts came from."""

    url: str
    journal: Journal

    def start(self, run_id: str, task: str, *, ago: float = 60.0, **fields: object) -> None:
        self.journal.fact("run.start", run_id, at=now() - ago, task=task, **(START | fields))

    def fail(self, run_id: str, task: str, message: str = "'FIPS'", *, ago: float = 60.0, **fields: object) -> None:
        self.start(run_id, task, ago=ago, **fields)
        error = {"type": "KeyError", "message": message, "detail": f"Traceback\n  KeyError: {message}"}
        self.journal.fact("run.end", run_id, status="failed", duration=1.0, error=error | {"fingerprint": "f" + task})

    def give(self, **more: object) -> None:
        with open_store(self.url) as store:
            give(store, self.journal, beat=True, **more)  # type: ignore[arg-type]

    def open(self) -> Store:
        return open_store(self.url, create=False, read_only=True)


def fill(url: str) -> Filled:
    """Four runs: 1 finished, 2 failed, 3 running at two levels, 4 lost by a second host's word."""
    filled = Filled(url, Journal())
    filled.start("aaaa1111", "ANNUAL_DEC_03", ago=7200)
    filled.journal.fact("run.end", "aaaa1111", status="finished", duration=12.5)
    filled.fail("bbbb2222", "ANNUAL_DEC_03", ago=3600, log_path="/nowhere/x.log")
    filled.start("cccc3333", "DAILY_01_BDC", ago=120, total=4)
    journal = filled.journal
    journal.fact("sub.start", "cccc3333", n=1, name="Reading")
    journal.fact("sub.end", "cccc3333", n=1, status="completed")
    journal.fact("sub.start", "cccc3333", n=2, name="Writing", total=8, unit="files")
    journal.fact("sub.info", "cccc3333", n=2, complete=3, message="Delaware")
    filled.start("dddd4444", "nightly", ago=90)
    journal.fact("run.end", "dddd4444", status="lost", reason="signal 9 at peak 61G")
    filled.give()
    return filled
