"""Kills programs in the middle of ``resume``, and drainers, at random; run as a script by the test.

Everything is imported once and then forked, since what is tested begins with the first call and not with the import.
"""

import contextlib
import os
import random
import signal
import sys
import time

from support.kill_loop import spawn

ITEMS_EACH = 15
"""Items for each cycle, so that there is work to be interrupted to the end."""
STEPS = ("fetch", "parse", "load")
WORKERS = 4


def program(directory: str) -> None:
    """Resume with four workers; what has been told is noted after the call that told it returned."""
    from statustui import Pipeline

    told = os.open(f"{directory}/told", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    pipeline = Pipeline("files", STEPS)

    def handler(work: object) -> None:
        time.sleep(0.01)
        work.complete(pages=3)  # type: ignore[attr-defined]
        os.write(told, f"{work.key} {work.step}\n".encode())  # type: ignore[attr-defined]

    pipeline.resume(dict.fromkeys(STEPS, handler), workers=WORKERS, show=False)


def drain(spool: str) -> None:
    """Be the drainer."""
    from statustui.drain.service import serve

    serve(spool)


def add(items: int) -> None:
    """Make the items known."""
    from statustui import Pipeline

    pipeline = Pipeline("files", STEPS)
    for number in range(items):
        pipeline.add(f"f{number:05}")
    pipeline.summary()


def check() -> None:
    """End badly where an item is not through."""
    from statustui import Pipeline
    from statustui.model.status import ItemStatus

    pipeline = Pipeline("files", STEPS)
    found = pipeline.summary()
    pipeline.close()
    if found.total != found.statuses.get(ItemStatus.COMPLETED, 0):
        raise SystemExit(1)


def main(cycles: int, seed: int, directory: str) -> None:
    """Kill, then let it finish."""
    import statustui.drain.loop
    import statustui.pipelines.coordinating
    import statustui.pipelines.resume
    import statustui.record.api
    import statustui.store.apply
    import statustui.store.item_claims
    import statustui.store.item_reads
    import statustui.store.item_summary  # noqa: F401
    from statustui import config

    spool = config.spool_dir(config.load(start="/"))
    chance = random.Random(seed)
    end(spawn(lambda: add(ITEMS_EACH * cycles)))
    drainer = 0
    try:
        for _ in range(cycles):
            if not drainer:
                drainer = spawn(lambda: drain(spool))
            worker = spawn(lambda: program(directory))
            time.sleep(chance.uniform(0.05, 0.35))
            kill(worker)
            if chance.random() < 0.4:
                kill(drainer)
                drainer = 0
            elif os.waitpid(drainer, os.WNOHANG)[0]:
                drainer = 0
        deadline = time.monotonic() + 60
        while True:
            if drainer and os.waitpid(drainer, os.WNOHANG)[0]:
                drainer = 0
            drainer = drainer or spawn(lambda: drain(spool))
            end(spawn(lambda: program(directory)))
            if os.waitpid(spawn(check), 0)[1] == 0:
                break
            if time.monotonic() > deadline:
                raise SystemExit("items did not get through")
            time.sleep(0.1)
    finally:
        if drainer:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(drainer, 0)
    end(spawn(lambda: drain(spool)))


def kill(pid: int) -> None:
    """-9, and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def end(pid: int) -> None:
    """Wait for a process that ends by itself, and well."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise SystemExit(f"a process ended with {code}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
