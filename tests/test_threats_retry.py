"""P9: what is executed comes from the owner's launch file alone, and only from one that nobody else can have made."""

import dataclasses
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from statustui import config
from statustui.control import retry
from statustui.journal import launch
from statustui.model.run import Run
from statustui.store.open import open_store
from support.users import NOBODY, OTHER, as_user, only_root
from support.wrapped import facts, until
from test_control_retry import failed, kept

MARK = "it ran"


@pytest.fixture(autouse=True)
def no_drainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")


@pytest.fixture
def run(state_dir: Path) -> Run:
    """A failed run of this user with a launch file."""
    made = failed()
    kept(state_dir, made, argv=["true"])
    return made


def launch_file(state_dir: Path, run: Run) -> Path:
    return state_dir / "launch" / f"{run.run_id}.json"


def edit(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def linked(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def hard_linked(path: Path) -> None:
    os.link(path, path.with_suffix(".other"))


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def huge(path: Path) -> None:
    os.truncate(path, launch.MAX_BYTES + 1)


def deep(path: Path) -> None:
    path.write_text("[" * 100_000)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (linked, "symbolic links"),
        (hard_linked, "has 2 names"),
        (fifo, "not a regular file"),
        (huge, "larger than"),
        (deep, "not JSON"),
        (lambda path: path.write_text("{not json"), "not JSON"),
        (lambda path: path.write_text("[]"), "not a JSON object"),
        (lambda path: path.chmod(0o620), "others may"),
        (lambda path: path.chmod(0o604), "others may"),
        (lambda path: edit(path, argv="rm -rf /"), "argv is not a list"),
        (lambda path: edit(path, argv=[]), "argv is not a list"),
        (lambda path: edit(path, argv=["a\0b"]), "argv is not a list"),
        (lambda path: edit(path, argv=[["sh"]]), "argv is not a list"),
        (lambda path: edit(path, env={"A=B": "1"}), "env is not a table"),
        (lambda path: edit(path, env=[1]), "env is not a table"),
        (lambda path: edit(path, run_id="another"), "of another run"),
        (lambda path: edit(path, uid=4242), "of another user"),
        (lambda path: edit(path, v=2), "version"),
        (lambda path: edit(path, host="db3"), "started on db3"),
        (lambda path: edit(path, cwd="/nowhere/at/all"), "directory is gone"),
        (lambda path: edit(path, exe="/etc"), "program is gone"),
        (lambda path: edit(path, exe="/etc/passwd"), "program is gone"),
        (lambda path: edit(path, argv=["./true"], cwd="/etc"), "program is gone"),
    ],
)
def test_a_launch_file_that_is_not_sound_starts_nothing(
    state_dir: Path, run: Run, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(launch_file(state_dir, run))
    plan = retry.plan(str(state_dir), run)
    assert plan.refusal is not None
    assert words in plan.refusal
    assert "\n" not in plan.refusal
    with pytest.raises(retry.RetryRefused):
        retry.start(plan, by="ana")
    assert not facts("run.start")


@only_root
def test_a_launch_file_of_another_user_starts_nothing(state_dir: Path, run: Run) -> None:
    shutil.chown(launch_file(state_dir, run), NOBODY)
    assert "belongs to another user" in str(retry.plan(str(state_dir), run).refusal)
    # The other way round: root's file, and somebody else who looks.
    shutil.chown(launch_file(state_dir, run), 0)
    for directory in (state_dir, *state_dir.parents[:2], state_dir / "launch"):
        directory.chmod(0o755)
    assert "Permission denied" in as_user(OTHER, lambda: launch.read(str(state_dir), run.run_id))
    launch_file(state_dir, run).chmod(0o644)
    assert "belongs to another user" in as_user(OTHER, lambda: launch.read(str(state_dir), run.run_id))


@only_root
def test_root_does_not_repeat_what_a_store_of_somebody_else_names(state_dir: Path, run: Run) -> None:
    settings = config.load()
    open_store(settings.store_url).close()
    path = settings.store_url.removeprefix("sqlite:///")
    assert retry.plan(str(state_dir), run).refusal is None
    shutil.chown(path, OTHER)
    assert f"sudo -u '#{OTHER}'" in str(retry.plan(str(state_dir), run).refusal)


def test_a_run_id_of_the_store_reaches_no_other_file(state_dir: Path, run: Run, tmp_path: Path) -> None:
    outside = state_dir / "evil.json"
    shutil.copy(launch_file(state_dir, run), outside)
    for run_id in ("../evil", "../../evil", "/etc/passwd", "a/b", "..", ".", "", "x\0y", "x\ny", "x" * 5000):
        plan = retry.plan(str(state_dir), dataclasses.replace(run, run_id=run_id))
        assert "not a run id" in str(plan.refusal), run_id


def test_nothing_in_the_store_changes_what_is_executed(env: Path, state_dir: Path) -> None:
    """The whole way: a run, a store rewritten in every column, a retry by the command line."""
    script = env / "job.sh"
    script.write_text(f'#!/bin/sh\necho {MARK} "$@"; pwd; exit 3\n')
    script.chmod(0o755)
    ours = [sys.executable, "-m", "statustui"]
    environment = {**os.environ, "STATUSTUI_DRAINER": "inline"}
    wrap = [*ours, "run", "--name", "job", "--", str(script), "one"]
    assert subprocess.run(wrap, env=environment, cwd=env, capture_output=True, timeout=60).returncode == 3
    assert subprocess.run([*ours, "drain"], env=environment, capture_output=True, timeout=60).returncode == 0
    path = config.load().store_url.removeprefix("sqlite:///")
    evil = env / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {env}/owned\n")
    evil.chmod(0o755)
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        for column in ("script_path", "cwd", "log_path", "task", "stage", "label", "type"):
            store.execute(f'UPDATE runs SET "{column}" = ?', (str(evil),))
        store.execute("UPDATE runs SET args = ?, pid = 1, pgid = 1", (json.dumps([str(evil)]),))
        store.execute(
            "UPDATE run_details SET environment = ?, params = ?",
            (json.dumps({"LD_PRELOAD": "/evil.so", "BASH_ENV": str(evil)}), json.dumps({"argv": [str(evil)]})),
        )
    done = subprocess.run(
        [*ours, "retry", "1", "--yes"], env=environment, cwd="/", capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert f"{script} one" in done.stdout
    until(lambda: len(facts("run.end")) == 2)
    logs = [one.read_text() for one in (state_dir / "logs").glob("*.log")]
    assert f"{MARK} one\n{env}\n" in logs
    assert not (env / "owned").exists()


@pytest.mark.parametrize("name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONSTARTUP", "BASH_ENV", "ENV",
    "IFS", "PATH", "PERL5OPT", "RUBYOPT", "GIT_SSH_COMMAND", "NODE_OPTIONS", "BASH_FUNC_ls%%", "JAVA_TOOL_OPTIONS",
    "DYLD_INSERT_LIBRARIES", "SHELLOPTS", "PS4", "STATUSTUI_ATTEMPT", "STATUSTUI_JOIN", "HOME",
    "GCONV_PATH", "GLIBC_TUNABLES", "PROMPT_COMMAND", "ZDOTDIR", "OPENSSL_CONF"])  # fmt: skip
def test_no_recorded_variable_changes_what_a_program_loads(state_dir: Path, run: Run, name: str) -> None:
    kept(state_dir, run, argv=["env"], env={name: "/evil"})
    plan = retry.plan(str(state_dir), run)
    assert "/evil" not in plan.env.values()
    assert any(name in line for line in plan.env_diff)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host": "-oProxyCommand=touch /tmp/owned"}, "ssh HOST statustui"),
        ({"host": "db3; rm -rf ~"}, "ssh HOST statustui"),
        ({"host": "db3\nreboot"}, "ssh HOST statustui"),
        ({"user": "-s"}, "sudo -u USER statustui"),
        ({"user": "etl; reboot"}, "sudo -u USER statustui"),
        ({"host": "db3", "user": "$(reboot)"}, "ssh db3 sudo -u USER statustui"),
    ],
)
def test_a_command_to_paste_holds_no_words_of_the_store(state_dir: Path, fields: dict[str, Any], words: str) -> None:
    from statustui.cli.logfile import open_log
    from statustui.cli.session import Stop

    run = failed(**fields)
    assert words in str(retry.plan(str(state_dir), run).refusal)
    if "host" in fields:
        with pytest.raises(Stop, match=r"ssh (HOST|db3) statustui tail"):
            open_log(run, config.load())


@pytest.mark.parametrize("by", ["--", "--log=/tmp/owned", "-x", "", "a\nb"])
def test_who_asks_is_no_option_of_the_wrapper(state_dir: Path, run: Run, by: str) -> None:
    retry.start(retry.plan(str(state_dir), run), by=by)
    until(lambda: [one for one in facts("run.start") if one.get("retry_of") == run.run_id])
    assert not Path("/tmp/owned").exists()


def test_a_claim_that_is_a_link_is_not_followed(state_dir: Path, run: Run) -> None:
    secret = state_dir / "secret"
    secret.write_text("the secret of somebody")
    claim = state_dir / "launch" / f"{run.run_id}.retry"
    claim.symlink_to(secret)
    assert "secret" not in str(retry.plan(str(state_dir), run).refusal)
    os.mkfifo(state_dir / "launch" / "x.retry")
    other = failed(run_id="x")
    kept(state_dir, other, argv=["true"])
    assert retry.plan(str(state_dir), other).refusal is None
