"""A secret that a program is given stands in its launch file at most: not in a journal, a store, a log of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from statustui.model.redact import redact, redact_argv, redact_tree

S = "S3cr3tValue99"
TEXTS = (
    f"postgresql://etl:{S}@db/x", f"postgresql://etl:pa/{S}@db/x", f"postgresql://etl:p#{S}@db/x",
    f"connection to postgres://u:{S}@h failed", f"a http://a:{S}@h/?next=https://b:{S}@c/",
    f"https://{S}{S}@github.com/x", f"host=db user=etl password={S} dbname=x", f"host=db password='{S} x' y",
    f"password={S},{S}", f"--password={S}", f"-p --token {S}", f'{{"user":"a","password":"{S}","x":1}}',
    f'{{\\"password\\": \\"{S}\\"}}', f"{{'api_key': '{S}'}}", f"conn = psycopg.connect(password='{S}')",
    f"    engine = create_engine(url, connect_args=dict(password='{S}'))", f"os.environ['DB_PASSWORD'] = '{S}'",
    f"password=b'{S}'", f"password=SecretStr('{S}')", f"token = f'{S}'", f"Authorization: Bearer {S}",
    f'"Authorization": "Basic {S}"', f'Authorization: Digest username="u", nonce="n", response="{S}"',
    f"Cookie: sid={S}; other={S}", f"x-api-key: {S}", f"https://h/p?access_token={S}&x=1", f"token: {S}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{S}\n{S}\n-----END RSA PRIVATE KEY-----\n", f"-----BEGIN PRIVATE KEY-----\n{S}",
    f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{S}\n-----END PGP PRIVATE KEY BLOCK-----",
    f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{S}\n-----END RSA PRIVATE KEY-----",
    f"<password>{S}</password>", f"ALTER ROLE x PASSWORD '{S}'", f"IDENTIFIED BY '{S}'", f"PassWord={S}",
    f"sh: mysql -u root -p{S} db", f"sshpass -p {S} ssh h", f"curl -s -u user:{S} https://h", f"Pwd={S};Server=x",
    f"psycopg.OperationalError: connection to server failed: password={S}", "x" * 60_000 + f" password={S}",
)  # fmt: skip
COMMANDS = (
    ["curl", f"-ua:{S}"], ["curl", f"--user=a:{S}"], ["curl", "--oauth2-bearer", S], ["redis-cli", f"-a{S}"],
    ["7z", "a", f"-p{S}", "x"], ["zip", "-P", S], ["mongodump", "-p", S], ["sqlplus", f"scott/{S}@db"],
    ["sh", "-c", f"mysql -p{S} db"], ["sh", "-c", f"PGPASSWORD={S} psql"], ["x", "--password", S],
    ["docker", "login", "-p", S], ["java", f"-Ddb.password={S}"], ["env", f"DB_PASSWORD={S}", "x"],
)  # fmt: skip
HARMLESS = (
    "num_tokens=512 use_cls_token=True", "Session: 3 of 5", "token: none", "the password is asked for", "key=value",
    "tokenizer = AutoTokenizer.from_pretrained('bert')", "pass 3 of 10 took 4 s", "https://host/path?x=1@2",
    "auth: ok", "connect(host='db', port=5432)", "<token>", "passed: 12, failed: 0", "curl -s https://example.org",
    "mysql -u root -e 'select 1'", "git clone https://github.com/a/b", "firstname.lastname@example.org",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_no_secret_remains_in_a_text(text: str) -> None:
    found = redact(text)
    assert S not in found
    assert "[redacted]" in found


@pytest.mark.parametrize("argv", COMMANDS, ids=lambda argv: argv[0])
def test_no_secret_remains_in_a_command(argv: list[str]) -> None:
    found = redact_argv(argv)
    assert S not in " ".join(found)
    assert len(found) == len(argv)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_no_secret_remains_in_a_tree() -> None:
    tree = {"db": {"password": S, "url": f"postgresql://a:{S}@h/d"}, "list": [{"api_key": S}, f"--token={S}"]}
    assert S not in str(redact_tree(tree))


PROGRAM = """
import os, sys, statustui
secret = os.environ["DB_PASSWORD"]
try:
    with statustui.run(f"job --password={secret}", params={"dsn": f"postgresql://u:{secret}@h/d", "api_key": secret},
                       label=f"token={secret}", stage=f"password={secret}", tags=[f"password={secret}"]) as run:
        run.message = f"connecting to postgresql://u:{secret}@h/d"
        run.log(f"Authorization: Bearer {secret}")
        run.metric("password", f"password={secret}")
        with run.subtask(f"load --token={secret}", total=2, unit=f"password={secret}") as sub:
            sub.advance(message=f"password={secret}")
            def connect(password):
                raise ConnectionError(f"connection failed: host=db password={password} user=etl")
            try:
                connect(password=secret)
            except ConnectionError as error:
                error.add_note(f"password={secret}")
                raise RuntimeError(f"DSN postgresql://u:{secret}@h/d does not work") from error
except RuntimeError:
    pass
"""


def test_a_secret_is_in_the_launch_file_and_nowhere_else(env: Path, state_dir: Path) -> None:
    script = env / "job.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "DB_PASSWORD": S, "STATUSTUI_DRAINER": "inline", "AWS_SECRET_ACCESS_KEY": S}
    options = ["--password", S, f"--dsn=postgresql://u:{S}@h/d"]
    log = env / "out.log"
    with log.open("wb") as out:
        for command in (
            [sys.executable, str(script), *options],
            [sys.executable, "-m", "statustui", "run", "--name", "wrapped", "--", "sh", "-c",
             f"echo password={S}; echo 'postgresql://u:{S}@h/d' >&2; exit 3", *options],
        ):  # fmt: skip
            subprocess.run(command, env=environment, stdout=out, stderr=out, timeout=60, check=False)
    done = subprocess.run([sys.executable, "-m", "statustui", "drain"], env=environment, timeout=60, check=False)
    assert done.returncode == 0
    holders = []
    for path in state_dir.rglob("*"):
        if path.is_file() and S.encode() in path.read_bytes():
            holders.append(path)
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0, path
    assert {path.parent.name for path in holders} <= {"launch"}, holders
    assert holders, "a retry knows the true command"
    for command in (["show", "1"], ["show", "2"], ["status"], ["runs", "--json"], ["show", "1", "--json"]):
        shown = subprocess.run(
            [sys.executable, "-m", "statustui", *command], env=environment, capture_output=True, timeout=60, check=False
        )
        assert shown.returncode in (0, 1), shown.stderr
        assert S.encode() not in shown.stdout + shown.stderr, command
