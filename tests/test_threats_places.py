"""Where state lies: private whatever the umask, never through what another user put there, on a full disk too."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statustui import config, places
from statustui.errors import ConfigError
from statustui.journal import identity, launch
from statustui.journal.calls import CallJournal
from statustui.journal.files import make_private_dirs, make_spool, prepare_spool
from statustui.journal.line import line_of
from statustui.journal.reader import JournalReader, list_journals
from statustui.journal.writer import Writer
from statustui.record.join import OWNER, owner_token
from support.users import OTHER, as_user, only_root

OURS = [sys.executable, "-m", "statustui"]
RUN = "01a2043c-eb20-7c11-9d54-0f6a2bb0c5a1"
STORE = "0123456789abcdef"
PARTS = ["", "spool", "spool/m-db1", "spool/m-db1/1", f"spool/m-db1/1/{STORE}"]


def modes(place: Path) -> dict[str, int]:
    return {str(path.relative_to(place)): stat.S_IMODE(path.lstat().st_mode) for path in [place, *place.rglob("*")]}


def run(*command: str, umask: int = 0o022, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **env}, umask=umask
    )


@pytest.mark.parametrize("umask", [0o000, 0o777, 0o027])
def test_all_that_is_left_behind_is_private_whatever_the_umask(
    umask: int, env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATUSTUI_STATE_DIR")  # the whole way from the home is made too
    monkeypatch.setenv("STATUSTUI_DRAINER", "inline")
    script = f"{sys.executable} -m statustui event x; {sys.executable} -m statustui subtask a -- true"
    assert run(*OURS, "run", "--", "sh", "-c", f"umask 022; {script}; echo out", umask=umask).returncode == 0
    code = "import statustui\nwith statustui.run('py') as run:\n  for n in run.track(range(3), 'n'): pass\n"
    assert run(sys.executable, "-c", code, umask=umask).returncode == 0
    shell = f'eval "$({sys.executable} -m statustui shell-init sh)"; genter a; gexit'
    assert run("sh", "-c", shell, umask=umask).returncode == 0
    assert run(*OURS, "runs", umask=umask).stdout.count("finished") == 3
    found = modes(env / ".local")
    assert {"state/statustui/stores", "state/statustui/launch", "state/statustui/status.db"} <= found.keys()
    wrong = {name: oct(mode) for name, mode in found.items() if mode & 0o077 or not mode & 0o400}
    assert wrong == {}


@pytest.mark.parametrize("part", PARTS[1:])
def test_a_link_on_the_way_is_not_followed(part: str, state_dir: Path, env: Path) -> None:
    elsewhere = env / "elsewhere"
    elsewhere.mkdir()
    link = state_dir / part
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    with pytest.raises(OSError, match="not a directory"):
        make_spool(f"{state_dir}/{PARTS[-1]}")
    assert list(elsewhere.iterdir()) == []


def test_the_state_directory_itself_may_be_the_users_own_link(env: Path) -> None:
    (env / "large-disk").mkdir()
    (env / "link").symlink_to(env / "large-disk")
    make_spool(f"{env}/link/{PARTS[-1]}")
    make_private_dirs(f"{env}/link/launch", f"{env}/link")
    assert (env / "large-disk" / PARTS[-1]).is_dir()
    assert not modes(env / "large-disk")["."] & 0o077


@pytest.mark.parametrize("name", ["launch", "logs", "spool"])
def test_a_linked_directory_leaves_the_program_alone_and_nothing_behind_it(
    name: str, state_dir: Path, env: Path
) -> None:
    elsewhere = env / "elsewhere"
    elsewhere.mkdir()
    (state_dir / name).symlink_to(elsewhere)
    done = run(*OURS, "run", "--", "sh", "-c", "echo out; exit 3", STATUSTUI_DRAINER="off")
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert list(elsewhere.iterdir()) == []


@only_root
@pytest.mark.parametrize("part", PARTS)
def test_a_directory_of_another_user_on_the_way_is_refused(part: str, env: Path) -> None:
    env.chmod(0o755)
    state = env / "theirs"
    planted = state / part
    planted.mkdir(parents=True)
    for path in (planted, *planted.parents):
        if path == env:
            break
        os.chown(path, OTHER, OTHER) if path == planted else path.chmod(0o755)
    planted.chmod(0o777)
    before = modes(state)
    with pytest.raises(OSError, match="belongs to another user") as caught:
        make_spool(f"{state}/{PARTS[-1]}")
    assert caught.value.errno == errno.EPERM
    assert modes(state).keys() == before.keys(), "nothing was made in it"
    writer = Writer(f"{state}/{PARTS[-1]}")
    assert writer.fact("run.start", RUN, task="x") == -1
    assert writer.dropped == 1
    with pytest.raises(OSError, match="belongs to another user"):
        launch.write(f"{state}/{PARTS[0]}".rstrip("/"), RUN, argv=["true"]) if not part else make_spool(
            f"{state}/{PARTS[-1]}"
        )


@only_root
@pytest.mark.parametrize("part", ["", "spool"])
def test_a_program_with_squatted_state_runs_as_it_would_and_says_so_once(part: str, env: Path) -> None:
    state = env / "squatted"
    (state / part).mkdir(parents=True)
    os.chown(state / part, OTHER, OTHER)
    (state / part).chmod(0o777)
    for command in (
        [*OURS, "run", "--", "sh", "-c", "echo out; exit 3"],
        [sys.executable, "-c", "import statustui\nwith statustui.run('x'): print('out')\nraise SystemExit(3)"],
        ["sh", "-c", f'eval "$({sys.executable} -m statustui shell-init sh)"; genter a >/dev/null; echo out; exit 3'],
    ):
        done = run(*command, STATUSTUI_STATE_DIR=str(state), STATUSTUI_DRAINER="off")
        assert (done.returncode, done.stdout) == (3, "out\n")
        assert done.stderr.count("\n") <= 1
    assert [path.name for path in (state / part).rglob("*") if path.is_file()] == []


def test_a_directory_for_everybody_is_neither_used_nor_changed(env: Path) -> None:
    everybody = env / "tmp"
    everybody.mkdir()
    everybody.chmod(0o1777)
    with pytest.raises(OSError, match="is for everybody"):
        make_spool(f"{everybody}/{PARTS[-1]}")
    assert stat.S_IMODE(everybody.stat().st_mode) == 0o1777
    make_spool(f"{everybody}/st/{PARTS[-1]}")  # one's own directory in it is one's own
    everybody.chmod(0o777)
    with pytest.raises(OSError, match="everybody can replace it"):
        make_spool(f"{everybody}/st/{PARTS[-1]}")


@only_root
def test_var_tmp_prepared_by_another_user_is_refused() -> None:
    place = Path(f"/var/tmp/statustui-{OTHER}")
    if place.exists():
        pytest.skip(f"{place} is there already")
    try:
        for link in (False, True):
            place.symlink_to("/etc") if link else place.mkdir(mode=0o700)
            said = as_user(OTHER, places.private_dir)
            assert said.startswith("ConfigError: ")
            assert "is not yours alone: remove it, or set STATUSTUI_STATE_DIR" in said
            place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
        assert as_user(OTHER, places.private_dir) == "ok"
        assert (place.stat().st_uid, stat.S_IMODE(place.stat().st_mode)) == (OTHER, 0o700)
        place.chmod(0o770)
        assert "is not yours alone" in as_user(OTHER, places.private_dir)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    assert issubclass(ConfigError, Exception)


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(env: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    place = env / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)], capture_output=True).returncode:
        pytest.skip("cannot mount a small disk here (needs root)")
    place.chmod(0o700)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take all the room there is."""
    path = place / "ballast"
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return path


def test_a_full_disk_changes_no_program_and_what_is_lost_is_counted(disk: Path) -> None:
    spool = f"{disk}/s/{PARTS[-1]}"
    prepare_spool(spool, f"sqlite:///{disk}/status.db")
    writer = Writer(spool)
    calls = CallJournal(spool, RUN, {**identity.describe(), "lang": "sh"})
    line = line_of("event", RUN, {"kind": "log", "message": "x" * 3000})
    assert writer.fact("run.start", RUN, task="x") > 0
    calls.append(line, 1)
    ballast = fill(disk)
    lost = 0
    for _ in range(50):
        lost += writer.fact("event", RUN, kind="log", message="x" * 3000) < 0
    refused = 0
    for _ in range(5):
        try:
            calls.append(line, 1)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            refused += 1
    assert lost == writer.dropped >= 48
    assert refused >= 3
    for command in ([*OURS, "run", "--", "sh", "-c", "echo out; exit 3"], [*OURS, "event", "x"]):
        token = owner_token(RUN, os.getpid(), identity.start_tick(), spool)
        env = {**os.environ, "STATUSTUI_STATE_DIR": f"{disk}/s", "STATUSTUI_DRAINER": "off", OWNER: token}
        done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
        assert done.returncode == (3 if "run" in command else 0)
    ballast.unlink()
    assert writer.fact("event", RUN, kind="log", message="room") > 0
    calls.append(line_of("event", RUN, {"kind": "log", "message": "room"}), 1)
    told: dict[str, int] = {}
    for journal in list_journals(spool):
        for found in JournalReader(spool, journal).read(0, 1 << 24, final=True):
            if found.record is not None and found.record["k"] == "dropped":
                told[journal] = told.get(journal, 0) + found.record["facts"]
    assert told[writer.journal or ""] == lost
    assert told[f"{RUN}-calls"] >= refused
    writer.close()


def test_a_limit_on_the_size_of_files_is_no_end_of_the_program(env: Path) -> None:
    code = f"""
import resource, signal
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from statustui.journal.writer import Writer
writer = Writer({str(env / "s" / "spool")!r})
lost = sum(writer.fact("event", {RUN!r}, message="x" * 500) < 0 for _ in range(500))
print(lost, writer.dropped)
"""
    done = run(sys.executable, "-c", code)
    assert (done.returncode, done.stdout) == (0, "0 0\n"), "it goes on in new segments"


# --- a pid that is used again ----------------------------------------------------------------------------------------

REUSED = r"""
import json, os, subprocess, sys, time
from statustui import config
from statustui.journal.line import line_of
from statustui.process import identity
from statustui.process.pidfd import Handle
from statustui.record.context import start_of
from statustui.record.join import owner, owner_token

def sleeper():
    return subprocess.Popen(["sleep", "600"])

def again(pid):
    # The next process gets the number that follows.
    for _ in range(200):
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(pid - 1))
        other = sleeper()
        if other.pid == pid:
            return other
        other.kill(); other.wait()
    raise SystemExit("the pid was not given again")

first = sleeper()
pid, start = first.pid, start_of(first.pid)
held = Handle.open(pid, start)
first.kill(); first.wait()
time.sleep(0.05)  # more than one tick: else both have the same start
other = again(pid)
spool = f"/x/spool/m/{os.stat('/proc/self/ns/pid').st_ino}/s"
os.environ["STATUSTUI_OWNER"] = owner_token("01a2043c-eb20-7c11-9d54-0f6a2bb0c5a1", pid, start, spool)
sent = held.send(9)
print(json.dumps({
    "alive": identity.alive(pid, start), "ended": held.ended(), "sent": sent,
    "opened": Handle.open(pid, start) is not None, "owner": owner().ended(), "other": other.poll() is None,
}))
other.kill(); other.wait()
"""


def test_a_pid_that_was_given_again_is_neither_believed_nor_signalled() -> None:
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", REUSED]
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    if subprocess.run([*command[:5], "true"], capture_output=True).returncode:
        pytest.skip("cannot make a pid namespace here (needs root)")
    done = run(*command)
    if "ns_last_pid" in done.stderr:
        pytest.skip("this kernel does not let pids be chosen")
    assert done.returncode == 0, done.stderr
    import json

    found: dict[str, Any] = json.loads(done.stdout)
    assert found == {
        "alive": False, "ended": True, "sent": False, "opened": False, "owner": True, "other": True,
    }  # fmt: skip


def test_a_cancel_does_not_reach_whoever_has_the_pid_now(env: Path) -> None:
    # The writer's first line names a process that began at another tick: it lives, and is somebody else.
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        settings = config.load()
        spool = config.spool_dir(settings)
        prepare_spool(spool, settings.store_url)
        journal = "01a2043c-eb11-79f6-abae-7df7dc94b387"
        about = {**identity.describe(), "pid": bystander.pid, "start": 1, "lang": "sh", "role": "program"}
        data = line_of("writer", None, {"v": 1, "journal": journal, **about})
        data += line_of("run.start", RUN, {"task": "job"})
        path = Path(f"{spool}/{journal}.0.jsonl")
        path.write_bytes(data)
        path.chmod(0o600)
        assert run(*OURS, "drain").returncode == 0
        run(*OURS, "cancel", "job", "--now", "--yes")
        with pytest.raises(subprocess.TimeoutExpired):
            bystander.wait(1.0)
    finally:
        bystander.send_signal(signal.SIGKILL)
        bystander.wait()
