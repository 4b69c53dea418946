"""Ends that somebody asked for: cancelled, whatever the program makes of them, with the name of who asked."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from statustui import config
from statustui.model.status import RequestKind, RequestState, RunStatus, SubtaskStatus
from statustui.store import reads, requests
from statustui.store.open import Store, open_store
from support import pg
from support.drained import alone, drainer, started, status, the_run, viewer
from support.processes import python, until

OWN_END = """
import signal, sys, time, statustui
def ended(*_):
    raise SystemExit("told to stop")
signal.signal(signal.SIGTERM, ended)
with statustui.run("job") as run:
    with run.subtask("part", total=3):
        with statustui.run("inner"):
            print(1, flush=True)
            time.sleep(600)
"""
WRAPPED = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(1, flush=True)
time.sleep(600)
"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, store_url: str) -> config.Settings:
    return alone(monkeypatch, store_url)


@pytest.fixture
def spool(settings: config.Settings) -> str:
    return config.spool_dir(settings)


def ask(store: Store, spool: str, task: str = "job", kind: RequestKind = RequestKind.CANCEL) -> int:
    run = reads.find(store, task)[0]
    asked = requests.ask(store, kind, run.run_id, by="ben", origin="db1", reason="wrong year")
    os.close(os.open(f"{spool}/wake", os.O_CREAT | os.O_WRONLY, 0o600))
    return asked.id


def state(store: Store, number: int) -> RequestState | None:
    return next((one.state for one in reads.requests(store) if one.id == number), None)


def ended(url: str, task: str = "job") -> Any:
    until(lambda: (s := status(url, task)) is not None and not s.open, timeout=15, what=f"the end of {task}")
    return the_run(url, task)


def test_a_program_that_answers_term_with_its_own_failure_is_cancelled(settings: config.Settings, spool: str) -> None:
    with python(OWN_END) as program, drainer(spool), viewer(settings.store_url) as store:
        started(program)
        until(lambda: status(settings.store_url, "inner") is not None)
        ask(store, spool)
        for task in ("job", "inner"):
            run = ended(settings.store_url, task)
            assert run.status is RunStatus.CANCELLED
            assert run.lost_reason == "cancelled by ben: wrong year"
        (part,) = reads.detail(store, the_run(settings.store_url).run_id).subtasks
        assert part.status is SubtaskStatus.CANCELLED


def test_a_wrapped_command_that_exits_with_a_status_is_cancelled(settings: config.Settings, spool: str) -> None:
    command = [sys.executable, "-m", "statustui", "run", "--name", "job", "--", sys.executable, "-c", WRAPPED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as program, drainer(spool):
        started(program)
        until(lambda: status(settings.store_url) is not None)
        with viewer(settings.store_url) as store:
            ask(store, spool)
            assert program.wait(15) == 7, "its status stays its own"
        run = ended(settings.store_url)
        assert (run.status, run.exit_code) == (RunStatus.CANCELLED, 7)
        assert run.lost_reason == "cancelled by ben: wrong year"


def test_a_run_that_had_failed_before_anybody_took_the_request_stays_failed(
    settings: config.Settings, spool: str
) -> None:
    code = "import statustui\nwith statustui.run('job'):\n    print(1, flush=True); input(); raise KeyError('x')"
    with python(code) as program:
        started(program)
        with drainer(spool):
            until(lambda: status(settings.store_url) is not None)
        with viewer(settings.store_url) as store:
            number = ask(store, spool)
            assert program.stdin is not None
            program.stdin.write(b"\n")
            program.stdin.flush()
            program.wait(10)
            with drainer(spool):
                assert ended(settings.store_url).status is RunStatus.FAILED
                until(lambda: state(store, number) is RequestState.REFUSED)


def test_a_countdown_goes_on_with_the_next_drainer(settings: config.Settings, spool: str) -> None:
    code = """
import signal, time, statustui
signal.signal(signal.SIGTERM, lambda *_: print("term", flush=True))
with statustui.run("job", grace=2):
    print(1, flush=True)
    while True:
        time.sleep(600)
"""
    with python(code) as program:
        started(program)
        with drainer(spool) as first:
            until(lambda: status(settings.store_url) is not None)
            with viewer(settings.store_url) as store:
                number = ask(store, spool)
                assert program.stdout is not None
                assert program.stdout.readline() == b"term\n"
                until(lambda: state(store, number) is RequestState.TAKEN)
            first.kill()
        with drainer(spool), viewer(settings.store_url) as store:
            assert program.wait(15) == -signal.SIGKILL
            assert ended(settings.store_url).status is RunStatus.CANCELLED
            until(lambda: state(store, number) is RequestState.DONE)


def test_what_died_after_term_while_no_drainer_worked_is_cancelled(settings: config.Settings, spool: str) -> None:
    with python(OWN_END.replace('raise SystemExit("told to stop")', "print('term', flush=True)")) as program:
        started(program)
        with drainer(spool) as first, viewer(settings.store_url) as store:
            until(lambda: status(settings.store_url, "inner") is not None)
            number = ask(store, spool)
            assert program.stdout is not None
            assert program.stdout.readline() == b"term\n"
            first.kill()
        program.kill()
        program.wait()
        with drainer(spool), viewer(settings.store_url) as store:
            run = ended(settings.store_url)
            assert (run.status, run.lost_reason) == (RunStatus.CANCELLED, "cancelled by ben: wrong year")
            until(lambda: state(store, number) is RequestState.DONE)


def test_a_retry_through_the_drainer_is_not_nice_nor_the_first_to_die(settings: config.Settings, spool: str) -> None:
    told = Path(spool).parent / "told"
    told.parent.mkdir(parents=True, exist_ok=True)
    code = (
        f"import os; print(os.nice(0), open('/proc/self/oom_score_adj').read().strip(), file=open({str(told)!r}, 'a'))"
    )
    command = [sys.executable, "-m", "statustui", "run", "--name", "job", "--", sys.executable, "-c", code]
    assert subprocess.run(command, check=False, timeout=30).returncode == 0
    before = told.read_text().split()
    low = "import os, sys; os.nice(10); open('/proc/self/oom_score_adj', 'w').write('1000');"
    low += " os.execv(sys.executable, [sys.executable, '-m', 'statustui.drain', sys.argv[1]])"
    with subprocess.Popen([sys.executable, "-c", low, spool]) as working:
        try:
            until(lambda: status(settings.store_url) is RunStatus.FINISHED)
            with viewer(settings.store_url) as store:
                number = ask(store, spool, kind=RequestKind.RETRY)
                until(lambda: state(store, number) is RequestState.DONE)
            until(lambda: len(told.read_text().splitlines()) == 2, timeout=20)
            after = told.read_text().splitlines()[1].split()
            assert after[1] == "0"
            if os.geteuid() == 0:
                assert after == before
            assert Path(f"/proc/{working.pid}/oom_score_adj").read_text() == "1000\n", "it dies first itself again"
        finally:
            working.kill()


def test_a_drainer_that_works_looks_at_requests_every_second(settings: config.Settings, spool: str) -> None:
    with python(OWN_END) as program, drainer(spool), viewer(settings.store_url) as store:
        started(program)
        until(lambda: status(settings.store_url, "inner") is not None)
        run = reads.find(store, "job")[0]
        # Nothing wakes it: what asks from another host cannot.
        requests.ask(store, RequestKind.CANCEL, run.run_id, by="ben", origin="db2")
        program.wait(30)


@pytest.mark.pg
@pytest.mark.parametrize("listed", [True, False])
def test_another_database_role_is_obeyed_only_where_the_owner_lists_it(
    monkeypatch: pytest.MonkeyPatch, env: Path, pg_server: pg.Server, pg_url: str, listed: bool
) -> None:
    monkeypatch.setenv("STATUSTUI_STORE", pg_url)
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    role = f"ops_{os.getpid()}_{int(listed)}"
    if listed:
        (env / ".config" / "statustui").mkdir(parents=True)
        (env / ".config" / "statustui" / "config.toml").write_text(f'operators = ["{role}"]\n')
    settings = config.load(start="/")
    assert settings.operators == ((role,) if listed else ())
    spool = config.spool_dir(settings)
    command = [sys.executable, "-m", "statustui", "run", "--name", "job", "--", "true"]
    assert subprocess.run(command, check=False, timeout=30).returncode == 0
    with psycopg.connect(pg.plain(pg_server.admin_url), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER").format(sql.Identifier(role)))
    try:
        with drainer(spool):
            until(lambda: status(pg_url) is RunStatus.FINISHED)
            with open_store(with_role(pg_url, role)) as theirs:
                number = ask(theirs, spool, kind=RequestKind.RETRY)
                until(lambda: (state(theirs, number) or RequestState.ASKED).value in ("done", "refused"))
                request = next(one for one in reads.requests(theirs) if one.id == number)
                assert request.role == role
                if not listed:
                    assert request.state is RequestState.REFUSED
                    assert request.answer == f"database role {role} is not among the operators of this run's owner"
                    return
                assert request.state is RequestState.DONE, request.answer
                until(lambda: len(reads.find(theirs, "job")) == 2 and status(pg_url) is RunStatus.FINISHED)
                new = reads.find(theirs, "job")[0]
                actors = {event.actor for event in reads.detail(theirs, new.run_id).events if event.kind == "retry"}
                assert actors == {f"ben (database role {role})"}
    finally:
        with psycopg.connect(pg.plain(pg_server.admin_url), autocommit=True) as admin:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def with_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, f"{role}@{host}", parts.path, parts.query, ""))
