"""Log records as events: levels, tracebacks, secrets, floods, threads, forks, queues; nothing of it disturbs."""

import textwrap
from pathlib import Path
from typing import Any

from support.recording import Recorded, environment, only_run, recorded, run_script

HEAD = """
import logging, logging.handlers, os, queue, sys, threading, time
import statustui
from statustui.contrib.logging import Handler

log = logging.getLogger("load")
root = logging.getLogger()
root.setLevel(logging.DEBUG)
"""


def record(env: Path, state_dir: Path, code: str, *, strict: str = "1") -> Recorded:
    """What a program of *code* has recorded in its only run; it prints nothing."""
    done = run_script(env / "logs.py", HEAD + textwrap.dedent(code), env=environment(STATUSTUI_STRICT=strict))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return only_run(state_dir)


def said(run: Recorded) -> list[tuple[str, str]]:
    return [(event["kind"], event["message"]) for event in run.events]


def test_records_are_events_and_errors_mark_the_run_without_failing_it(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        root.addHandler(Handler())
        with statustui.run("logs") as run:
            log.debug("not this")
            log.info("read %d rows", 12)
            log.warning("password=hunter22 is weak")
            root.error("bad \\x1b[31mline")
            log.critical("worse")
        log.error("no run is open")
        """,
    )
    assert said(run)[0] == ("log", "load: read 12 rows")
    assert [kind for kind, _ in said(run)] == ["log", "warning", "error", "critical"]
    assert "hunter22" not in str(run.events)
    assert run.metrics == {"log_errors": 2, "log_warnings": 1}
    assert run.end["status"] == "finished"
    assert run.end["message"] == "2 errors logged, last: load: worse"


def test_the_program_s_own_message_stays(env: Path, state_dir: Path) -> None:
    code = """
        root.addHandler(Handler())
        with statustui.run("logs") as run:
            log.error("first")
            run.message = "loading"
            log.error("second")
    """
    assert record(env, state_dir, code).end["message"] == "loading"


def test_an_exception_has_its_traceback_and_fingerprint_also_through_a_queue(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError("no text")
        def fail(name):
            try:
                raise KeyError(name)
            except KeyError:
                log.exception("no county")
        records = queue.SimpleQueue()
        with statustui.run("logs") as run:
            direct, formatted = Handler(), Handler()
            formatted.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
            for handler in direct, formatted:
                root.addHandler(handler)
                fail("FIPS")
                root.removeHandler(handler)
            root.addHandler(logging.handlers.QueueHandler(records))
            listener = logging.handlers.QueueListener(records, direct)
            listener.start()
            fail("NAME")
            listener.stop()
            root.handlers.clear()
            root.addHandler(direct)
            log.error("odd %s", "x", exc_info=Odd())
            log.error("stack", stack_info=True)
        """,
    )
    first, second, third, odd, stack = run.events
    assert [first["message"], second["message"], third["message"]] == [
        "load: no county", "ERROR no county", "load: no county",
    ]  # fmt: skip
    for event in (first, second, third):
        assert event["detail"].startswith("Traceback (most recent call last):\n")
        assert event["fingerprint"] == first["fingerprint"]
        assert event["detail"].endswith(f"\nfingerprint {event['fingerprint']}")
    assert "KeyError: 'NAME'" in third["detail"]
    assert odd["fingerprint"] != first["fingerprint"]
    assert "in <module>" in stack["detail"]


def test_a_flood_is_counted_and_told(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        root.addHandler(Handler(rate=0.0, burst=10))
        with statustui.run("logs") as run:
            for n in range(5000):
                log.info("row %d", n)
                if n % 100 == 0:
                    log.error("bad row %d", n)
            logging.shutdown()
        """,
    )
    kinds = [kind for kind, _ in said(run)]
    assert (kinds.count("log"), kinds.count("error")) == (10, 10)
    assert [message for kind, message in said(run) if kind == "dropped"] == [
        "4,990 more log records came too fast and were not recorded",
        "40 more warnings and errors came too fast and were not recorded",
    ]
    assert run.metrics["log_errors"] == 50


def test_what_was_dropped_is_told_also_when_nobody_closes_the_handler(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        root.addHandler(Handler(rate=0.0, burst=1))
        with statustui.run("logs") as run:
            for n in range(30):
                log.warning("row %d", n)
        """,
    )
    assert said(run)[-1] == ("dropped", "29 more warnings and errors came too fast and were not recorded")
    assert run.metrics["log_warnings"] == 30


def test_threads_and_forked_workers_log_into_the_run(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        root.addHandler(Handler(burst=1000))
        with statustui.run("logs") as run:
            def work(name):
                for n in range(50):
                    log.warning("%s %d", name, n)
            threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
            for thread in threads:
                thread.start()
            children = []
            for name in "cd":
                child = os.fork()
                if child == 0:
                    work(name)
                    logging.shutdown()
                    os._exit(0)
                children.append(child)
            for child in children:
                os.waitpid(child, 0)
            for thread in threads:
                thread.join()
            log.handlers = [Handler(rate=0.0, burst=1)]
            log.propagate = False
            log.info("kept")
            log.info("dropped here, told once")
            if os.fork() == 0:
                logging.shutdown()
                os._exit(0)
            os.wait()
        """,
    )
    dropped: list[Any] = [event for event in run.events if event["kind"] == "dropped"]
    assert len(dropped) == 1
    messages: list[Any] = [event["message"] for event in run.events if event["kind"] == "warning"]
    assert sorted(messages) == sorted(f"load: {name} {n}" for name in "abcd" for n in range(50))
    assert run.metrics["log_warnings"] == 100


def test_it_never_raises_and_never_loops(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        import logging
        class Loud:
            def __str__(self):
                log.error("from within")
                raise ValueError("no text")
        handler = Handler(logging.DEBUG)
        root.addHandler(handler)
        with statustui.run("logs") as run:
            logging.getLogger("statustui").error("of our own")
            log.error("%s", Loud())
            log.error("%d", "no number")
            run.metric(object(), object())
            run.subtask("x").advance("no number")
            log.error("after")
        """,
        strict="",
    )
    kept = [message for kind, message in said(run) if kind == "error"]
    assert kept == ["load: after"]
    assert any("recording calls failed" in message for kind, message in said(run) if kind == "warning")


def test_without_a_run_nothing_happens_and_the_wrapper_s_run_is_joined(env: Path, state_dir: Path) -> None:
    import subprocess
    import sys

    code = HEAD + "root.addHandler(Handler())\nlog.error('alone')\n"
    assert run_script(env / "alone.py", code).stderr == ""
    assert recorded(state_dir) == {}
    command = [sys.executable, "-m", "statustui", "run", "--", sys.executable, str(env / "alone.py")]
    subprocess.run(command, env=environment(), check=True, timeout=60)
    (run,) = recorded(state_dir, joined=True).values()
    assert said(run) == [("error", "load: alone")]
