"""Where the configuration comes from, and what is not believed."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from statustui import config, places
from statustui.config import ConfigError, canonical_url, display_url, load
from statustui.urls import has_password, without_password


@pytest.fixture
def project(env: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project directory with a directory inside, which is the working directory."""
    inner = env / "project" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    return inner.parent


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("/a/b.db", "sqlite:////a/b.db"),
        ("/a/../b.db", "sqlite:////b.db"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u:p@h:5433/d?sslmode=require", "postgresql+psycopg://u:p@h:5433/d?sslmode=require"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg://h/d"),
        ("host=db1 dbname=geo user=etl password='a b'", "postgresql+psycopg://etl:a%20b@db1/geo"),
        ("host=/run/pg dbname=geo", "postgresql+psycopg:///geo?host=/run/pg"),
    ],
)
def test_every_way_to_write_a_store_has_one_form(given: str, canonical: str) -> None:
    assert canonical_url(given) == canonical
    assert canonical_url(canonical) == canonical


def test_paths_are_made_absolute(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(env)
    assert canonical_url("x.db") == f"sqlite:///{env}/x.db"
    assert canonical_url("sqlite:///x.db") == f"sqlite:///{env}/x.db"
    assert canonical_url("~/x.db") == f"sqlite:///{env}/x.db"


@pytest.mark.parametrize(
    "url", ["", " ", ":memory:", "sqlite://", "sqlite://host/x", "sqlite:x", "mysql://h/d", "/a?b"]
)
def test_what_is_no_store_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        canonical_url(url)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://u:hunter2@h/d",
        "postgresql+psycopg://u:hunter2/x@h/d",
        "postgresql+psycopg:///d?user=u&password=hunter2&sslmode=require",
        "mysql://u:hunter2@h/d",
    ],
)
def test_passwords_are_never_shown(url: str) -> None:
    assert has_password(url)
    assert "hunter2" not in display_url(url)
    assert "***" in display_url(url)
    assert "hunter2" not in without_password(url)
    if url.startswith("mysql"):
        with pytest.raises(ConfigError) as error:
            canonical_url(url)
        assert "hunter2" not in str(error.value)


def test_the_password_does_not_change_the_spool(env: Path) -> None:
    one = config.Settings("postgresql+psycopg://u:old@h/d", state_dir=str(env))
    two = config.Settings("postgresql+psycopg://u:new@h/d", state_dir=str(env))
    assert config.spool_dir(one) == config.spool_dir(two)
    assert "old" not in repr(one)
    assert config.spool_dir(one) != config.spool_dir(config.Settings("postgresql+psycopg://u@h/e", state_dir=str(env)))


def test_the_spool_is_of_this_machine_and_namespace(state_dir: Path) -> None:
    parts = Path(config.spool_dir(load())).relative_to(state_dir).parts
    assert parts[0] == "spool"
    assert parts[1].endswith(config.host_name())
    assert parts[2] == str(os.stat("/proc/self/ns/pid").st_ino)
    assert len(parts[3]) == 16


def test_an_argument_wins_over_all(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / ".statustui.toml", 'store = "/from/file.db"')
    monkeypatch.setenv("STATUSTUI_STORE", "/from/env.db")
    settings = load(store="/from/argument.db")
    assert (settings.store_url, settings.store_source) == ("sqlite:////from/argument.db", "argument")


def test_the_environment_wins_over_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / ".statustui.toml", 'store = "/from/file.db"\ngrace = 3\ndrainer = "off"')
    monkeypatch.setenv("STATUSTUI_STORE", "/from/env.db")
    monkeypatch.setenv("STATUSTUI_DRAINER", "inline")
    settings = load()
    assert (settings.store_url, settings.store_source) == ("sqlite:////from/env.db", "environment")
    assert (settings.grace_s, settings.drainer) == (3.0, "inline")


def test_the_variables_of_existing_scripts_are_known(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_DB_HOST", "db2")
    monkeypatch.setenv("MONITOR_DB_NAME", "geodb")
    monkeypatch.setenv("MONITOR_DB_USER", "pipeline")
    monkeypatch.setenv("MONITOR_DB_PASSWORD", "p@ss")
    assert load().store_url == "postgresql+psycopg://pipeline:p%40ss@db2/geodb"
    monkeypatch.setenv("MONITOR_DB_CONN", "dbname=other")
    assert load().store_url == "postgresql+psycopg:///other"
    monkeypatch.setenv("STATUSTUI_STORE", "/mine.db")
    assert load().store_url == "sqlite:////mine.db"


def test_a_project_file_is_found_upwards_and_its_paths_start_there(project: Path) -> None:
    path = write(project / ".statustui.toml", 'store = "data/s.db"\nstate_dir = "st"\n[stages]\nX_ = "EX"')
    os.environ.pop("STATUSTUI_STATE_DIR")
    settings = load()
    assert settings.store_url == f"sqlite:///{project}/data/s.db"
    assert settings.store_source == str(path)
    assert settings.state_dir == f"{project}/st"
    assert settings.stage_prefixes == {"X_": "EX"}
    assert load(start="/").store_source == "default"


def test_pyproject_has_a_table_for_it(project: Path) -> None:
    write(project / "pyproject.toml", '[tool.statustui]\nstore = "/p.db"\n')
    write(project / "inner" / "pyproject.toml", "[tool.other]\nstore = 1\n")
    assert load().store_url == "sqlite:////p.db"


def test_the_project_wins_over_the_user(project: Path, env: Path) -> None:
    write(env / ".config/statustui/config.toml", 'store = "/u.db"\noperators = ["ben"]\n[ssh]\na = "1"\nb = "2"')
    write(project / ".statustui.toml", 'store = "/p.db"\n[ssh]\nb = "3"')
    settings = load()
    assert settings.store_url == "sqlite:////p.db"
    assert settings.operators == ("ben",)
    assert settings.ssh == {"a": "1", "b": "3"}
    assert len(settings.files) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('stor = "/x"', "stor"),
        ("store = 3", "store"),
        ("grace = -1", "grace"),
        ('grace = "soon"', "grace"),
        ('operators = "ben"', "operators"),
        ("[stages]\na = 1", "stages"),
        ('drainer = "always"', "drainer"),
        ('store = "mysql://h/d"', "mysql"),
        ("store = ", "TOML"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(project: Path, text: str, said: str) -> None:
    path = write(project / ".statustui.toml", text)
    with pytest.raises(ConfigError) as error:
        load()
    assert str(path) in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bad_variable_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUSTUI_EXIT_WAIT", "nan")
    with pytest.raises(ConfigError, match="STATUSTUI_EXIT_WAIT"):
        load()


def test_a_password_in_a_readable_file_is_refused(project: Path) -> None:
    path = write(project / ".statustui.toml", 'store = "postgresql://u:secret@h/d"', 0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load()
    path.chmod(0o600)
    assert load().store_url.endswith("@h/d")


def test_what_others_can_write_is_not_trusted_with_more_than_looks(project: Path) -> None:
    text = 'store = "/s.db"\noperators = ["eve"]\npath = "/tmp/evil"\nenv = ["AWS_SECRET"]\n[ssh]\na = "evil"'
    write(project / ".statustui.toml", text, 0o666)
    settings = load()
    assert settings.store_url == "sqlite:////s.db"
    assert (settings.operators, settings.path, settings.env_allow, settings.ssh) == ((), None, (), {})
    assert "operators" in settings.notes[0]


def test_a_file_of_others_in_a_public_directory_is_ignored(project: Path) -> None:
    write(project / ".statustui.toml", 'store = "/evil.db"', 0o666)
    project.chmod(0o1777)
    settings = load()
    assert settings.store_source == "default"
    assert "ignored" in settings.notes[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_not_trusted(project: Path) -> None:
    path = write(project / ".statustui.toml", 'operators = ["eve"]', 0o644)
    os.chown(path, 12345, 12345)
    assert load().operators == ()


def test_without_a_home_there_is_a_private_directory(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATUSTUI_STATE_DIR")
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.chdir("/")
    settings = load()
    private = Path(f"/var/tmp/statustui-{os.geteuid()}")
    assert settings.state_dir.startswith(str(private))
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_a_private_directory_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch, env: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    path = Path("/var/tmp/statustui-4000000")
    path.mkdir(mode=0o700)
    try:
        with pytest.raises(ConfigError, match="not yours alone"):
            places.private_dir()
    finally:
        path.rmdir()


def test_a_deleted_working_directory_is_no_obstacle(env: Path) -> None:
    gone = env / "gone"
    gone.mkdir()
    script = "import os; os.rmdir(os.getcwd()); from statustui.config import load; print(load().store_source)"
    done = subprocess.run([sys.executable, "-c", script], cwd=gone, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "default"


@pytest.mark.parametrize(("kind", "network"), [("ext4", False), ("nfs4", True), ("fuse.sshfs", True), ("cifs", True)])
def test_network_file_systems_are_known(env: Path, kind: str, network: bool) -> None:
    mounts = write(
        env / "mounts", f"rootfs / ext4 rw 0 0\nsrv:/home /home\\040x {kind} rw 0 0\n/dev/x /home ext4 rw 0 0\n"
    )
    assert places.on_network("/home x/ana/.local", str(mounts)) is network
    assert places.on_network("/home/ana", str(mounts)) is False


def test_a_home_on_the_network_has_its_store_on_the_local_disk(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATUSTUI_STATE_DIR")
    monkeypatch.setattr(config, "on_network", lambda path: True)
    monkeypatch.chdir("/")
    settings = load()
    assert settings.store_url == f"sqlite:////var/tmp/statustui-{os.geteuid()}/status.db"
    assert "network" in settings.notes[0]


def test_used_stores_are_remembered_without_passwords(env: Path) -> None:
    assert config.known_stores() == []
    config.remember_store("sqlite:////a.db")
    config.remember_store("postgresql+psycopg://u:pw@h/d")
    config.remember_store("sqlite:////a.db")
    assert config.known_stores() == ["postgresql+psycopg://u@h/d", "sqlite:////a.db"]
    path = env / ".local/state/statustui/stores"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_remembering_never_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc/self")
    config.remember_store("sqlite:////a.db")
    assert config.known_stores() == []


def test_it_is_cheap_to_import() -> None:
    script = (
        "import sys, statustui.config; print(*sorted(set(sys.modules) & {'typing', 'dataclasses', 'tomllib', 're'}))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {script}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == ""
