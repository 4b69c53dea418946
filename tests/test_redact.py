"""Secrets are taken out before anything is written; what only looks like one stays; and it takes linear time."""

import re
import time
from itertools import product

import pytest

from statustui.model.redact import MARK, is_secret_name, redact, redact_argv, redact_tree

SECRET = "hunTer2Xy"
NAMES = (
    "password", "PASSWORD", "passwd", "passphrase", "pwd", "secret", "db_password", "DB_PASSWORD", "MYSQL_PWD",
    "PGPASSWORD", "api_key", "apikey", "API-KEY", "apiKey", "access_key", "AWS_SECRET_ACCESS_KEY", "secret_key",
    "private_key", "client_secret", "clientSecret", "access_token", "refresh_token", "GITHUB_TOKEN", "auth_token",
    "dbPassword", "credential", "user.password", "encryption_key", "AccountKey", "SLACK_BOT_TOKEN",
)  # fmt: skip
FORMS = (
    "{n}={s}",
    "{n}: {s}",
    "--{n}={s}",
    '"{n}": "{s}"',
    "{{'{n}': '{s}'}}",
    "connect failed ({n}={s})",
    "{n}={s};x=1",
)
SHAPES = (
    f"postgresql://bob:{SECRET}@db.example.com:5432/geo",
    f"redis://:{SECRET}@cache/0",
    f"https://bob:{SECRET}@example.com/x?y=1",
    f"mongodb+srv://u:{SECRET}@c.example.net/db",
    f"Authorization: Bearer {SECRET}abcdef",
    f"authorization: Basic {SECRET}==",
    f'-H "Authorization: token {SECRET}"',
    f"curl: header Proxy-Authorization: {SECRET}",
    f"Cookie: session={SECRET}; other=1",
    f"Set-Cookie: id={SECRET}",
    f"got Bearer {SECRET}{SECRET} from the server",
    f"eyJhbGciOiJIUzI1NiJ9.{SECRET}eyJzdWIiOiIx.{SECRET}sig",
    f"AKIA{SECRET.upper()}1234567 is the id",
    f"ghp_{SECRET}{SECRET}",
    f"github_pat_{SECRET}{SECRET}{SECRET}",
    f"glpat-{SECRET}{SECRET}",
    f"xoxb-1234-{SECRET}",
    f"sk-{SECRET}{SECRET}{SECRET}",
    f"AIza{SECRET}{SECRET}{SECRET}12345678"[:39] + "x" * 0,
    f"https://s3.example.com/b?X-Amz-Signature={SECRET}&X-Amz-Date=1",
    f"https://x.blob.example.net/c?sv=2020&sig={SECRET}%3D",
    f"token={SECRET}",
    f"session={SECRET}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
    f"host=db user=bob password='{SECRET} with a space' dbname=x",
    f"dsn={SECRET}",
    f"conn_str={SECRET}",
    f"jdbc:postgresql://h/db?user=x&password={SECRET}",
    f"psql: error: password: {SECRET}",
    f"--password {SECRET} --verbose",
    f"--api-key {SECRET}",
    f"--db-password '{SECRET}'",
)
POSITIVE = [form.format(n=name, s=SECRET) for name, form in product(NAMES, FORMS)] + list(SHAPES)

PLAIN_NAMES = (
    "num_tokens", "use_cls_token", "keyfile", "tokens", "max_tokens", "token_count", "password_file", "secret_name",
    "keys", "primary_key", "foreign_key", "key", "sort_key", "partition_key", "passed", "passes", "compass",
    "bypass", "passenger", "authority", "author", "authors", "authenticated", "sessions", "session_count",
    "cookies_enabled", "signal", "signature_count", "connection", "connections", "conn", "tokenizer", "keyword",
    "keyboard", "monkey", "passport", "passive", "secretary",
)  # fmt: skip
PLAIN_FORMS = ("{n}={s}", "{n}: {s}", "--{n}={s}", '"{n}": "{s}"', "read {n} from /data/x.csv")
PLAIN = (
    "Delaware: 23,456 rows written", "Session: 3 of 5", "token: 5 of 12", "auth: ok", "signature: valid",
    "cookie: none", "pass: 12 fail: 2", "token=5", "password=None", 'password: ""', "password=$DB_PASSWORD",
    "secret=${SECRET}", "https://example.com/a:b/c@d", "mailto:bob@example.com", "KeyError: 'FIPS'",
    "KeyError: 'password'", "the password is wrong", "password authentication failed for user bob",
    "no such key: x.y", "sk-learn", "task-0001 done", "risk-free-and-long-words-here", "AKIA", "ghp_", "eyJ",
    "file:///srv/data/x.csv", "s3://bucket/key/of/object", "2026-11-22T16:40:19Z", "a=b;c=d", "class Session:",
    "def authenticate(self):", "C:\\Users\\bob", "std::string::npos", "postgresql://db.example.com/geo",
    "postgresql://bob@db.example.com/geo", "ratio 3:4@5", "--keep --tokens 5", "-p 8080",
    "http://localhost:8080/x@y",
)  # fmt: skip
NEGATIVE = [form.format(n=name, s="counties17") for name, form in product(PLAIN_NAMES, PLAIN_FORMS)] + list(PLAIN)


def test_there_are_enough_of_both() -> None:
    assert len(set(POSITIVE)) >= 200
    assert len(set(NEGATIVE)) >= 200


@pytest.mark.parametrize("text", POSITIVE)
def test_secrets_go(text: str) -> None:
    cleaned = redact(text)
    assert SECRET not in cleaned, cleaned
    assert SECRET.upper() not in cleaned, cleaned
    assert MARK in cleaned
    assert redact(cleaned) == cleaned, "once is enough"


@pytest.mark.parametrize("text", NEGATIVE)
def test_the_rest_stays(text: str) -> None:
    assert redact(text) == text


def test_what_is_beside_a_secret_stays() -> None:
    assert redact(f"postgresql://bob:{SECRET}@db/geo timed out") == f"postgresql://bob:{MARK}@db/geo timed out"
    assert redact(f"user=bob password={SECRET} host=db") == f"user=bob password={MARK} host=db"
    assert redact(f'{{"password": "{SECRET}", "rows": 5}}') == f'{{"password": "{MARK}", "rows": 5}}'


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["x", "--password", SECRET, "--rows", "5"], ["x", "--password", MARK, "--rows", "5"]),
        (["x", f"--token={SECRET}"], ["x", f"--token={MARK}"]),
        (["x", "--token", SECRET], ["x", "--token", MARK]),
        (["mysql", "-u", "bob", f"-p{SECRET}", "db"], ["mysql", "-u", "bob", f"-p{MARK}", "db"]),
        (["/usr/bin/sshpass", "-p", SECRET, "ssh", "db"], ["/usr/bin/sshpass", "-p", MARK, "ssh", "db"]),
        (["curl", "-u", f"bob:{SECRET}", "https://x"], ["curl", "-u", f"bob:{MARK}", "https://x"]),
        (["curl", "-H", f"Authorization: Bearer {SECRET}"], ["curl", "-H", f"Authorization: Bearer {MARK}"]),
        (["redis-cli", "-a", SECRET, "ping"], ["redis-cli", "-a", MARK, "ping"]),
        (["x", f"postgres://b:{SECRET}@h/d"], ["x", f"postgres://b:{MARK}@h/d"]),
        (["python", "-p", "8080", "--tokens", "5"], ["python", "-p", "8080", "--tokens", "5"]),
        (["x", "--password"], ["x", "--password"]),
        (["env", f"DB_PASSWORD={SECRET}", "prog"], ["env", f"DB_PASSWORD={MARK}", "prog"]),
    ],
)
def test_arguments(argv: list[str], wanted: list[str]) -> None:
    assert redact_argv(argv) == wanted


def test_parameters_are_redacted_by_their_names_and_in_their_texts() -> None:
    given = {"db": {"password": SECRET, "host": "db"}, "urls": [f"ftp://u:{SECRET}@h/"], "token": 123456, "rows": 5}
    assert redact_tree(given) == {
        "db": {"password": MARK, "host": "db"},
        "urls": [f"ftp://u:{MARK}@h/"],
        "token": MARK,
        "rows": 5,
    }
    assert is_secret_name("DB_PASSWORD")
    assert not is_secret_name("num_tokens")


def test_the_users_own_expressions() -> None:
    assert redact("case 2024-CA-12345", (re.compile(r"\d{4}-CA-\d+"),)) == f"case {MARK}"


LONG = (
    "a", "password=", "://a:", "eyJ", "-", "key ", "'\"password=\"\\", "a=b ", "token token ",
    "-----BEGIN PRIVATE KEY-----", "bearer ", "authorization ", "a.", "--a ", "session='", 'x="', "token='\\",
    "password" + " " * 5, "cookie:", "sk-", "xoxb-",
)  # fmt: skip


@pytest.mark.parametrize("piece", LONG)
def test_time_is_linear(piece: str) -> None:
    def cost(size: int) -> float:
        text = piece * (size // len(piece)) + "token"
        best = 1e9
        for _ in range(3):
            begin = time.process_time()
            redact(text)
            best = min(best, time.process_time() - begin)
        return best

    # eight times the text may take some more than eight times as long, never 64 times
    assert cost(400_000) < 24 * cost(50_000) + 0.02
