"""Shell scripts that record themselves: bash, dash and busybox, each started for real."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from statustui.journal.locks import holder
from statustui.journal.reader import check
from support.recording import Recorded, recorded

SHELLS = {"bash": ["bash"], "dash": ["dash"], "busybox": ["busybox", "sh"]}
EVERY = pytest.mark.parametrize("shell", list(SHELLS))
INIT = f"{sys.executable} -m statustui shell-init"


@pytest.fixture(autouse=True)
def no_drainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")


def start(shell: str, body: str, place: Path, **kwargs: Any) -> "subprocess.Popen[bytes]":
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"{shell} is not installed")
    script = place / "DAILY_load.sh"
    script.write_text(f'eval "$({INIT} {"bash" if shell == "bash" else "sh"})"\n{body}')
    kwargs.setdefault("stdout", subprocess.PIPE)
    kwargs.setdefault("stderr", subprocess.STDOUT)
    return subprocess.Popen([*SHELLS[shell], str(script)], start_new_session=True, **kwargs)


def run(shell: str, body: str, place: Path, **kwargs: Any) -> tuple[int, str]:
    """Exit status and output."""
    process = start(shell, body, place, **kwargs)
    try:
        output = process.communicate(timeout=60)[0]
    finally:
        process.kill()
    return process.returncode, (output or b"").decode("utf-8", "replace")


def only(state_dir: Path) -> Recorded:
    for journal in state_dir.glob("spool/*/*/*/*.jsonl"):
        assert list(check(str(journal))) == []
    (found,) = recorded(state_dir).values()
    return found


@EVERY
def test_subtasks_headings_progress_and_messages(shell: str, env: Path, state_dir: Path) -> None:
    body = """
genter "all states"
for s in DE NY; do
  genter "load $s"; track_progress 1 3; track_progress 3 3 "rows of $s"; gexit
done
gmessage "nearly there"
gexit "loaded"
track_finish "2 states"
"""
    status, output = run(shell, body, env)
    assert status == 0
    assert [line.partition("] ")[2] for line in output.splitlines()] == [
        "all states", "load DE", "rows of DE", "load NY", "rows of NY", "nearly there", "loaded", "2 states",
    ]  # fmt: skip
    assert all(line[0] == "[" and line[3] == ":" and line[6] == ":" for line in output.splitlines())
    found = only(state_dir)
    assert (found.start["task"], found.start["stage"], found.start["type"]) == ("DAILY_load", "DAILY", "sh")
    assert [(sub.name, sub.status) for sub in found.subs.values()] == [
        ("all states", "completed"), ("load DE", "completed"), ("load NY", "completed"),
    ]  # fmt: skip
    assert {sub.parent for sub in list(found.subs.values())[1:]} == {1}
    assert found.named("load NY").total == 3
    assert (found.end["status"], found.end["message"]) == ("finished", "2 states")


@EVERY
def test_any_bytes_give_correct_json(shell: str, env: Path, state_dir: Path) -> None:
    texts = [
        bytes(range(1, 256)), "Größe 中文 😀".encode(), b'a\nb\tc"d\\e\x7f', b"\xc3", b"\xe2\x82", b"\xed\xa0\x80",
        b"\xc0\x80\xf5\x80\x80\x80", b"\xe0\x80\x80 \xf4\x90\x80\x80", "中".encode() * 300, b"%s %d $x `y` 'z",
    ]  # fmt: skip
    for number, text in enumerate(texts):
        (env / f"{number:02}.txt").write_bytes(text)
    run(shell, f'for f in {env}/*.txt; do genter "$(cat "$f")"; gexit; done', env)
    names = [sub.name for sub in only(state_dir).subs.values()]
    assert names == [text.decode("utf-8", "backslashreplace").rstrip("\n") for text in texts]


@EVERY
def test_long_texts_and_passwords(shell: str, env: Path, state_dir: Path) -> None:
    body = 'genter "$(head -c 100000 /dev/zero | tr "\\0" x)"; gexit\ngenter "postgresql://me:hush@db/x"; gexit\n'
    run(shell, body, env)
    long, secret = only(state_dir).subs.values()
    assert 1000 < len(long.name) < 2100
    assert secret.name == "postgresql://me:[redacted]@db/x"


@EVERY
def test_strict_scripts_traps_and_tracing(shell: str, env: Path, state_dir: Path) -> None:
    pipefail = "set -o pipefail" if shell == "bash" else ":"
    body = f"""
set -euC; {pipefail}
IFS=:
trap 'echo mine $?' EXIT
genter; gexit
track_progress 007 010; track_progress x y z; track_progress; gmessage
set -x
genter traced
set +x
trap
false || true
exit 5
"""
    status, output = run(shell, body, env)
    assert status == 5
    assert output.endswith("mine 5\n")
    assert "_stui_" not in output
    found = only(state_dir)
    assert (found.end["status"], found.end["exit_code"]) == ("failed", 5)


@EVERY
def test_subshells_pipelines_and_background_jobs_have_numbers_of_their_own(
    shell: str, env: Path, state_dir: Path
) -> None:
    body = """
genter all
for s in a b c; do ( genter "part $s"; gexit ) & done; wait
printf '1\\n2\\n' | while read -r l; do genter "line $l"; gexit; done
x=$(genter inside; gexit)
f() { genter function; gexit; }
f
gexit
"""
    run(shell, body, env)
    found = only(state_dir)
    names = sorted(sub.name for sub in found.subs.values())
    assert names == ["all", "function", "inside", "line 1", "line 2", "part a", "part b", "part c"]
    assert {sub.status for sub in found.subs.values()} == {"completed"}
    assert found.end["status"] == "finished"


@EVERY
def test_a_strict_script_fails_with_command_and_line(shell: str, env: Path, state_dir: Path) -> None:
    status, output = run(shell, "set -e\ngenter load\n\nls /nowhere\necho never\n", env)
    assert status != 0
    assert "never" not in output
    found = only(state_dir)
    assert found.end["status"] == "failed"
    assert found.end["error"]["subtask"] == 1
    if shell != "dash":  # Debian's knows no line numbers
        assert found.end["error"]["message"] == f"ls /nowhere: status {status}, line 5"


@pytest.mark.parametrize(
    ("shell", "number", "group"),
    [("bash", 15, False), ("bash", 15, True), ("bash", 1, True), ("bash", 2, True), ("dash", 2, True)],
)
def test_signals_cancel_and_end_the_script_as_before(
    shell: str, number: int, group: bool, env: Path, state_dir: Path, wait_for: Callable[..., None]
) -> None:
    ready = env / "ready"
    process = start(shell, f"genter x\ntouch {ready}; sleep 30\ntrue\n", env, stdout=subprocess.DEVNULL)
    try:
        wait_for(ready.exists)
        time.sleep(0.1)  # the sleep itself has no sign
        began = time.monotonic()
        (os.killpg if group else os.kill)(process.pid, number)
        assert process.wait(timeout=10) == -number
        assert time.monotonic() - began < 5
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert only(state_dir).end["status"] == "cancelled"


@EVERY
def test_an_error_that_the_script_tells_itself(shell: str, env: Path, state_dir: Path) -> None:
    status, output = run(shell, "genter a\ntrack_error 'no rows' 'table empty'\nexit 1\n", env)
    assert (status, output.splitlines()[-1]) == (1, "ERROR: no rows")
    found = only(state_dir)
    assert found.end["error"]["message"] == "no rows"
    assert found.end["error"]["detail"] == "table empty"


@EVERY
def test_ten_thousand_calls_stay_small(shell: str, env: Path, state_dir: Path) -> None:
    body = "genter x >/dev/null\ni=0; while [ $i -lt 10000 ]; do i=$((i+1)); track_progress $i 10000; done\ngexit\n"
    assert run(shell, body, env) == (0, "")
    (journal,) = state_dir.glob("spool/*/*/*/*.jsonl")
    assert journal.stat().st_size < 50_000
    assert '"complete":10000' in journal.read_text()


@EVERY
def test_where_nothing_can_be_recorded_the_script_is_unaffected(shell: str, env: Path, state_dir: Path) -> None:
    shutil.rmtree(state_dir)
    state_dir.write_text("a file stands in its place")
    status, output = run(shell, "set -eu\ngenter a\ntrack_progress 1 2\ngexit\nexit 3", env)
    assert status == 3
    warning, said = output.splitlines()
    assert warning.startswith("statustui: not recorded: ")
    assert said.endswith("] a")


@EVERY
def test_a_full_disk_is_silent(shell: str, env: Path, state_dir: Path) -> None:
    body = 'rm "$_stui_file"; ln -s /dev/full "$_stui_file"\nset -eu\ngenter a\ngexit\n'
    status, output = run(shell, body, env)
    assert status == 0
    assert len(output.splitlines()) == 1


@EVERY
def test_under_the_wrapper_it_joins_its_run(shell: str, env: Path, state_dir: Path) -> None:
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"{shell} is not installed")
    script = env / "job.sh"
    script.write_text(f'eval "$({INIT} {"bash" if shell == "bash" else "sh"})"\ngenter inside\ngexit\n')
    command = [sys.executable, "-m", "statustui", "run", "--", *SHELLS[shell], str(script)]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    records = [
        json.loads(line)
        for journal in state_dir.glob("spool/*/*/*/*.jsonl")
        for line in journal.read_text().splitlines()
        if line
    ]
    assert len({record["run"] for record in records if "run" in record}) == 1
    assert [record["name"] for record in records if record["k"] == "sub.start"] == ["inside"]


@EVERY
def test_no_process_is_started_by_a_call(shell: str, env: Path, state_dir: Path) -> None:
    body = "a=$(sh -c 'echo $$')\ngenter a >/dev/null; track_progress 1 2; gexit\nb=$(sh -c 'echo $$')\n"
    body += 'echo "$a $b"\n'
    distances = []
    for _ in range(5):  # other processes of the machine take numbers too
        shutil.rmtree(state_dir)
        first, second = run(shell, body, env)[1].split()
        distances.append(int(second) - int(first))
    assert min(distances) <= 2


def _records(state_dir: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for journal in state_dir.glob("spool/*/*/*/*.jsonl")
        for line in journal.read_text().splitlines()
        if line
    ]


@EVERY
def test_a_journal_that_nobody_applies_stops_growing_and_counts_what_it_drops(
    shell: str, env: Path, state_dir: Path
) -> None:
    body = """
_stui_limit=4000
many() { i=0; while [ $i -lt 300 ]; do i=$((i+1)); genter "part $i" >/dev/null; gexit; done; }
many
( many ) & wait
"""
    assert run(shell, body, env) == (0, "")
    records = _records(state_dir)
    assert records[-2]["k"] == "run.end"
    told = sum(record["facts"] for record in records if record["k"] == "dropped")
    kept = sum(record["k"] in ("sub.start", "sub.end") for record in records)
    # Of a subshell what came after the last hundred is known to nobody.
    assert 600 <= told + kept <= 1200
    assert told > 600 - kept
    assert sum(journal.stat().st_size for journal in state_dir.glob("spool/*/*/*/*.jsonl")) < 12_000


@EVERY
def test_what_is_applied_does_not_count_against_the_limit(shell: str, env: Path, state_dir: Path) -> None:
    body = """
_stui_limit=4000
printf '%020d\\n' 3500 >"${_stui_file%.0.jsonl}.ack"
i=0; while [ $i -lt 200 ]; do i=$((i+1)); genter "part $i" >/dev/null; gexit; done
[ "$_stui_limit" = 60003500 ] || echo "$_stui_limit"
"""
    assert run(shell, body, env) == (0, "")
    records = _records(state_dir)
    assert sum(record["k"] == "sub.end" for record in records) == 200
    assert not [record for record in records if record["k"] == "dropped"]


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_stale_heartbeat_starts_the_drainer_once_more(
    shell: str, env: Path, state_dir: Path, wait_for: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "process")
    monkeypatch.setenv("STATUSTUI_DRAINER_LINGER", "60")
    process = start(
        shell,
        "while [ ! -e go ]; do sleep 0.05; done\n_stui_looked=-100\ngenter again\nsleep 30\n",
        env,
        cwd=env,
        stdout=subprocess.DEVNULL,
    )

    def working() -> int | None:
        for lock in state_dir.glob("spool/*/*/*/drainer.lock"):
            pid = holder(str(lock))
            if pid:
                return pid
        return None

    try:
        wait_for(working, 30)
        first = working()
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: working() is None, 30)
        (beat,) = state_dir.glob("spool/*/*/*/drainer.beat")
        (ticked,) = state_dir.glob("spool/*/*/*/*.tick")
        os.utime(beat, (1, 1))
        os.utime(ticked)
        time.sleep(2.1)  # nobody starts a second one within two seconds of the first
        (env / "go").touch()
        wait_for(lambda: working() not in (None, first), 30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_shell_run_is_retried_by_its_launch_file(
    shell: str, env: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "process")
    body = f'[ -e {env}/ok ] || exit 3\ngenter "argument $1"\ngexit\n'
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = env / "load.sh"
    script.write_text(f'eval "$({INIT} {"bash" if shell == "bash" else "sh"})"\n{body}')
    done = subprocess.run([shell, str(script), "two words"], capture_output=True, timeout=60, cwd=env)
    assert done.returncode == 3
    ours = [sys.executable, "-m", "statustui"]
    subprocess.run([*ours, "wait", "load", "--timeout", "60"], capture_output=True, timeout=90)
    (env / "ok").touch()
    again = subprocess.run([*ours, "retry", "load", "--yes"], capture_output=True, text=True, timeout=60)
    assert again.returncode == 0, again.stderr
    waited = subprocess.run([*ours, "wait", "load", "--timeout", "60"], capture_output=True, text=True, timeout=90)
    assert waited.returncode == 0, waited.stdout + waited.stderr
    shown = json.loads(subprocess.run([*ours, "show", "load", "--json"], capture_output=True, timeout=60).stdout)
    assert (shown["run"]["status"], shown["run"]["attempt"]) == ("finished", 2)
    assert [sub["name"] for sub in shown["subtasks"]] == ["argument two words"]
    assert [attempt["status"] for attempt in shown["attempts"]] == ["failed", "finished"]
