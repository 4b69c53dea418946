"""Programs and drainers that are killed at random: run as ``python kill_loop.py CYCLES SEED DIRECTORY``.

One warm process forks them all, since starting an interpreter 400 times would take most of the time. Each program
records at full speed and counts, in a file that it maps, the facts whose calls have returned.
"""

import contextlib
import mmap
import os
import random
import signal
import struct
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn


def spawn(work: Callable[[], None]) -> int:
    """Fork a child that does *work* in a session of its own; it never returns."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def program(cycle: int, counted: mmap.mmap) -> NoReturn:
    """Record events for ever; after each call has returned, say so on the side."""
    import statustui

    with statustui.run(f"kill-{cycle}", subtasks=3) as run:
        number = 0
        while True:
            with run.subtask("part", total=100) as part:
                for _ in range(100):
                    run.log(str(number))
                    number += 1
                    struct.pack_into("<Q", counted, 8 * cycle, number)
                    part.advance()


def drain(spool: str, failpoint: str | None, skip: int) -> None:
    """Be the drainer; sometimes one that dies at a boundary."""
    from statustui.drain import failpoint as points
    from statustui.drain.service import serve

    points.arm(failpoint, skip)
    serve(spool)


def main(cycles: int, seed: int, directory: str) -> None:
    """Kill programs and drainers, then let one last drainer finish."""
    # What the children need is imported once.
    from statustui import config

    settings = config.load(start="/")
    needed = ["drain.loop", "record.api", "store.apply", "store.reads", "store.requests"]
    if settings.store_url.startswith("postgresql"):
        needed.append("store.patience")
        import_module("sqlalchemy.dialects.postgresql.psycopg")
    for name in needed:
        import_module(f"statustui.{name}")
    spool = config.spool_dir(settings)
    chance = random.Random(seed)
    with open(f"{directory}/counted", "w+b") as file:
        file.truncate(8 * cycles)
        counted = mmap.mmap(file.fileno(), 8 * cycles)
    drainer = 0
    try:
        for cycle in range(cycles):
            writer = spawn(lambda cycle=cycle: program(cycle, counted))  # type: ignore[misc]
            if not drainer:
                point = chance.choice([None, None, "before-apply", "after-apply"])
                skip = chance.randrange(3)
                wait_for_spool(spool)
                drainer = spawn(lambda: drain(spool, point, skip))  # noqa: B023
            moments = sorted([(chance.uniform(0.01, 0.06), writer), (chance.uniform(0.0, 0.25), drainer)])
            began = time.monotonic()
            for at, pid in moments:
                if pid == drainer and at > 0.12:
                    continue  # about every second drainer lives on
                time.sleep(max(0.0, at - (time.monotonic() - began)))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                if pid == drainer:
                    os.waitpid(drainer, 0)
                    drainer = 0
            os.waitpid(writer, 0)
            if drainer and os.waitpid(drainer, os.WNOHANG)[0]:
                drainer = 0  # at its failpoint
    finally:
        if drainer:
            os.kill(drainer, signal.SIGKILL)
            os.waitpid(drainer, 0)
    last = spawn(lambda: drain(spool, None, 0))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(last, 0)[1]))


def wait_for_spool(spool: str) -> None:
    """Wait for the first program to make the directory."""
    deadline = time.monotonic() + 10
    while not os.path.exists(f"{spool}/store.url"):
        if time.monotonic() > deadline:
            raise SystemExit("no spool directory")
        time.sleep(0.002)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
