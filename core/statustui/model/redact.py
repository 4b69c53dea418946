"""Secrets taken out of text before it is written anywhere.

Every expression is linear in its input: it starts only at a boundary, or is bounded. What is decided by
the *name* of a value is decided in :func:`is_secret_name`, not by an expression. No guessing by entropy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MARK = "[redacted]"

# A text without any of these (lower case) holds nothing that could be replaced: a fact stays cheap (P2).
_HINTS = (
    "pass", "pwd", "secret", "token", "key", "auth", "bearer", "credential", "session", "cookie", "sig", "dsn",
    "conn", "://", "eyj", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox",
    "sk-", "sk_live", "aiza", "--begin", "sessid",
)  # fmt: skip

_SHAPES = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[^-]*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----)?"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"
    r"|(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9_-])(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|sk-[A-Za-z0-9_-]{20,}|sk_live_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{35})"
)
_URL = r"(://[^\s/:@?#\"']{0,200}:)[^\s/?#\"']{1,1000}@"
_HEADER = (
    r"(?i)(?<![a-z0-9])((?:proxy-)?authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
    r"(?:(?:basic|bearer|digest|token|apikey|negotiate|aws4-hmac-sha256)\s{1,4})?)[^\s\"',;]{3,}"
    r"|(?<![a-z0-9])((?:set-)?cookie\s{0,4}:\s{0,4})[^\s=\"']{1,100}=[^\r\n\"']*"
    r"|(?<![a-z0-9])(bearer\s{1,4})[a-z0-9._~+/=-]{12,}"
)
_VALUE = r"(\"(?:[^\"\\\n]|\\.){0,4000}\"?|'(?:[^'\\\n]|\\.){0,4000}'?|[^\s,;&|\"')}\]]+)"
_PAIR = r"(?<![\w.\-])([A-Za-z_][\w.\-]{1,80})(\\?[\"']?)(\s{0,4}(?:=>|:=|==|=|:)\s{0,4}|\])(?!/)" + _VALUE
_OPTION = r"(?<![\w\-])(--?[A-Za-z][\w.\-]{1,80})(=|[ \t]{1,4})(?!-)" + _VALUE

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_STRONG = frozenset(
    ("password", "passwd", "passphrase", "passwort", "pwd", "secret", "credential", "credentials", "apikey",
     "accesskey", "secretkey", "privatekey", "accountkey", "apitoken", "accesstoken", "authtoken",
     "refreshtoken", "sessiontoken", "clientsecret", "mysqlpwd")
)  # fmt: skip
_KEY_KINDS = frozenset(
    ("api", "access", "private", "secret", "account", "signing", "encryption", "encrypt", "master",
     "storage", "shared", "license", "ssh", "service", "admin")
)  # fmt: skip
_TOKEN_KINDS = frozenset(
    ("access", "refresh", "auth", "api", "id", "bearer", "github", "gitlab", "gh", "gl", "slack", "bot",
     "hf", "session", "oauth", "csrf", "xsrf", "jwt", "secret", "security", "deploy", "personal", "private",
     "user", "npm", "pypi", "vault", "ci", "job", "client", "service", "admin", "app", "authentication")
)  # fmt: skip
_WEAK = frozenset(
    ("pass", "token", "auth", "bearer", "session", "cookie", "signature", "sig", "dsn", "authorization",
     "sessionid", "phpsessid", "jsessionid")
)  # fmt: skip
_PAIRS = frozenset((("session", "id"), ("amz", "signature"), ("amz", "credential")))
_HARMLESS = frozenset(
    ("", "none", "null", "nil", "true", "false", "yes", "no", "***", "****", "<redacted>", MARK.strip("[]"), MARK)
)


def _strength(name: str, in_environment: bool = False) -> int:
    """2: always a secret; 1: a secret where it is assigned (``token=…``); 0: none."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words:
        return 0
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in _STRONG or last.endswith(("password", "passwd", "passphrase")):
        return 2
    if last == "key" and before in _KEY_KINDS:
        return 2
    if last == "token" and (before in _TOKEN_KINDS or (before and name.isupper())):
        return 2
    if (last == "pass" and before) or (before, last) in _PAIRS:
        return 2
    if last in ("str", "string") and before in ("conn", "connection"):
        return 2
    if last == "dsn" and before:
        return 2
    if len(words) == 1 and last in _WEAK:
        return 2 if in_environment else 1
    return 0


def is_secret_name(name: str) -> bool:
    """True when what this option, key or variable holds is a secret: ``DB_PASSWORD``, ``--token``, ``apiKey``.

    Names that only contain such a word are none: ``num_tokens``, ``use_cls_token``, ``keyfile``.
    """
    return _strength(name[:200].strip("-"), in_environment=True) > 0


def redact(text: str, extra: Iterable[re.Pattern[str]] = ()) -> str:
    """*text* with everything that looks like a secret replaced by ``[redacted]``.

    Args:
        text: a message, an error, a command line; cut before, where it may be long.
        extra: the user's own expressions; all of a match is replaced.
    """
    low = text.lower()
    for hint in _HINTS:
        if hint in low:
            text = _replace(text)
            break
    for pattern in extra:
        text = pattern.sub(MARK, text)
    return text


_steps: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = []


def _replace(text: str) -> str:
    """All expressions, one after the other; compiled at the first text that may hold a secret."""
    steps = _steps or [
        (re.compile(_SHAPES), MARK),
        (re.compile(_URL), _url),
        (re.compile(_HEADER), _header),
        (re.compile(_PAIR), _pair),
        (re.compile(_OPTION), _option),
    ]
    _steps[:] = steps
    for pattern, replacement in steps:
        text = pattern.sub(replacement, text)
    return text


def _url(match: re.Match[str]) -> str:
    return f"{match[1]}{MARK}@"


def _header(match: re.Match[str]) -> str:
    return f"{match[1] or match[2] or match[3]}{MARK}"


def _pair(match: re.Match[str]) -> str:
    name, quote, separator, value = match.groups()
    strength = _strength(name)
    if not strength or _harmless(value):
        return match[0]
    if separator.startswith(":") and separator != ":" and match.string[match.start() - 1 : match.start()] == "/":
        return match[0]  # "/etc/passwd: Permission denied" names a file
    if strength == 1:
        # "Session: 3 of 5" is prose; `token=…`, `"token": "…"` and `cookies['sid']` are not
        if ":" in separator and not quote and value[0] not in "\"'":
            return match[0]
        if _small_number(value):
            return match[0]
    if separator == "]" and not quote:
        return match[0]
    return f"{name}{quote}{separator}{_replaced(value)}"


def _option(match: re.Match[str]) -> str:
    name, separator, value = match.groups()
    strength = _strength(name.strip("-")) if name.startswith("--") or len(name) > 4 else 0
    if not strength or _harmless(value) or (strength == 1 and _small_number(value)):
        return match[0]
    return f"{name}{separator}{_replaced(value)}"


def _harmless(value: str) -> bool:
    bare = value.strip("\"'")
    return bare.lower() in _HARMLESS or bare.startswith((MARK[:-1], "$", "%(", "{{"))


def _small_number(value: str) -> bool:
    bare = value.strip("\"'").rstrip(".,%")
    return len(bare) <= 5 and bare.replace(".", "").replace("/", "").isdigit()


def _replaced(value: str) -> str:
    quote = value[0] if value[0] in "\"'" else ""
    return f"{quote}{MARK}{quote}"


_GLUED = {"mysql": "-p", "mysqldump": "-p", "mysqladmin": "-p", "mariadb": "-p", "mariadb-dump": "-p", "sshpass": "-p"}
_SPACED = {
    "sshpass": ("-p",), "redis-cli": ("-a",), "curl": ("-u", "--user", "-U", "--proxy-user"), "ldapsearch": ("-w",),
    "smbclient": ("-U",), "sqlcmd": ("-P",), "bcp": ("-P",),
}  # fmt: skip


def redact_argv(argv: Sequence[str], extra: Iterable[re.Pattern[str]] = ()) -> list[str]:
    """An argument vector with its secrets replaced, one by one: the result has as many elements.

    Besides what :func:`redact` finds in each element, the element after ``--password`` and the known short
    options of database and web clients (``mysql -pX``, ``curl -u name:X``) are replaced.
    """
    extra = tuple(extra)
    result: list[str] = []
    tool, next_is_secret = "", False
    for argument in argv:
        base = argument.rsplit("/", 1)[-1]
        if base in _GLUED or base in _SPACED:
            tool = base
        if next_is_secret and not argument.startswith("--"):
            result.append(_user_part(argument) if tool in ("curl", "smbclient") else MARK)
            next_is_secret = False
            continue
        named = argument.startswith("-") and "=" not in argument and len(argument) > 3
        next_is_secret = argument in _SPACED.get(tool, ()) or (named and is_secret_name(argument))
        glued = _GLUED.get(tool)
        if glued and argument.startswith(glued) and not argument.startswith("--") and len(argument) > len(glued):
            result.append(glued + MARK)
        else:
            result.append(redact(argument, extra))
    return result


def _user_part(argument: str) -> str:
    user, colon, _ = argument.replace("%", ":", 1).partition(":")
    return f"{user}:{MARK}" if colon else argument


def redact_tree(value: Any, extra: Iterable[re.Pattern[str]] = ()) -> Any:
    """A JSON-like value with secrets replaced: by the names of its keys, and in every text."""
    extra = tuple(extra)
    if isinstance(value, Mapping):
        return {key: MARK if _holds_secret(key, entry) else redact_tree(entry, extra) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [redact_tree(entry, extra) for entry in value]
    return redact(value, extra) if isinstance(value, str) else value


def _holds_secret(key: object, entry: object) -> bool:
    plain = isinstance(entry, str | int | float) and not isinstance(entry, bool) and entry != ""
    return plain and is_secret_name(str(key))
