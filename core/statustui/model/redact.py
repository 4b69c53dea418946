"""Secrets taken out of text before it is written anywhere.

Every expression is linear in its input: it starts only at a boundary, or is bounded. What is decided by
the *name* of a value is decided in :func:`is_secret_name`, not by an expression. No guessing by entropy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

# What is compiled, and the compiler, are loaded with the first text that may hold a secret.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable
    from typing import Any

MARK = "[redacted]"

# A text without any of these (lower case) holds nothing that could be replaced: a fact stays cheap (P2).
_HINTS = (
    "pass", "pwd", "secret", "token", "key", "auth", "bearer", "credential", "session", "cookie", "sig", "dsn",
    "conn", "://", "eyj", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox",
    "sk-", "sk_live", "aiza", "--begin", "sessid", "identified", "mysql", "mariadb", "curl",
)  # fmt: skip

_SHAPES = (
    r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"
    r"|(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9_-])(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|sk-[A-Za-z0-9_-]{20,}|sk_live_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{35})"
)
_PEM = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
# In the address of a database people write passwords with / and # as they are: there it ends at the last @.
_URL = (
    r"((?:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mssql|oracle)(?:\+\w{1,20})?://[^\s/:@?#\"']{0,200}:)"
    r"[^\s\"']{1,1000}@"
    r"|(://[^\s/:@?#\"']{0,200}:)[^\s/?#\"']{1,1000}@"
    r"|(://)(?=[^\s@/]{0,200}\d)[^\s/:@?#\"']{20,200}@"
)
_SQL = (
    r"(?i)(?<!\w)((?:identified\s{1,4}by(?:\s{1,4}password)?|password)\s{1,4})(['\"])(?!\[redacted)[^'\"\n]{1,1000}\2"
)
_TOOL = (
    r"(?<![\w-])((?:mysql(?:dump|admin|import)?|mariadb(?:-dump|-admin)?)(?:[ \t]{1,4}[^\s|;&]{1,200}){0,20}?"
    r"[ \t]{1,4}-p"
    r"|sshpass[ \t]{1,4}-p[ \t]{0,4}"
    r"|curl(?:[ \t]{1,4}[^\s|;&]{1,300}){0,20}?"
    r"[ \t]{1,4}(?:-u|-U|--user|--proxy-user)[= \t]{0,4}['\"]?[^\s:'\"]{1,100}:)"
    r"[^\s'\"|;&]{1,500}"
)
_ELEMENT = r"(<([A-Za-z_][\w.\-]{1,80})>)[^<]{1,4000}(?=</)"
_HEADER = (
    r"(?i)(?<![a-z0-9])((?:proxy-)?authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
    r"(?:digest|aws4-hmac-sha256)\s{1,4})[^\r\n]{3,}"
    r"|(?<![a-z0-9])((?:proxy-)?authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
    r"(?:(?:basic|bearer|token|apikey|negotiate)\s{1,4})?)[^\s\"',;]{3,}"
    r"|(?<![a-z0-9])((?:set-)?cookie\s{0,4}:\s{0,4})[^\s=\"']{1,100}=[^\r\n\"']*"
    r"|(?<![a-z0-9])(bearer\s{1,4})[a-z0-9._~+/=-]{12,}"
)
_VALUE = (
    r"((?:\w{1,40}(?:\.\w{1,40}){0,3}\(\s{0,4})?[bBrRfFuU]{0,2}(?:\"(?:[^\"\\\n]|\\.){0,4000}\"?|'(?:[^'\\\n]|\\.){0,4000}'?)"
    r"|\\{1,3}\"[^\"\\\n]{0,4000}(?:\\{1,3}\")?|(?:[^\s,;&|\"')}\]]|,(?![\s\w.\-]{0,80}[=:]|\s|$)){1,300})"
)
# What is left of a bare value beyond those characters: looked for only where the value is replaced, so that
# a long text of names costs no more than its length.
_REST = r"[^\s,;&|\"')}\]]*"
_NAME = r"(?<![\w.\-])([A-Za-z_][\w.\-]{1,80})(\\{0,3}[\"']?)((?:\])?\s{0,4}(?:=>|:=|==|=|:)\s{0,4}|\])(?!/)"
_OPTION = r"(?<![\w\-])(--?[A-Za-z][\w.\-]{1,80})(=|[ \t]{1,4})(?!-)" + _VALUE

_words: list[re.Pattern[str]] = []
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
    if not _words:
        import re

        _words.append(re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+"))
    words = [word.lower() for word in _words[0].findall(name)]
    if not words:
        return 0
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in _STRONG or last.endswith(("password", "passwd", "passphrase")):
        return 2
    if before + last in _STRONG:
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
_scanners: list[re.Pattern[str]] = []


def _compile() -> None:
    import re

    _steps[:] = [
        (re.compile(_SHAPES), MARK),
        (re.compile(_URL), _kept),
        (re.compile(_HEADER), _kept),
        (re.compile(_SQL), _quoted),
        (re.compile(_TOOL), _kept),
        (re.compile(_ELEMENT), _element),
        (re.compile(_OPTION), _option),
    ]
    # The last, so that another thread that finds it finds all.
    _scanners[:] = [re.compile(expression) for expression in (_PEM, _NAME, _VALUE, _REST)]


def _replace(text: str) -> str:
    """All expressions, one after the other."""
    if not _scanners:
        _compile()
    if "-----BEGIN" in text:
        text = _without_keys(text)
    for pattern, replacement in _steps[:-1]:
        text = pattern.sub(replacement, text)
    text = _pairs(text)
    pattern, replacement = _steps[-1]
    return pattern.sub(replacement, text)


def _without_keys(text: str) -> str:
    """Without private keys; one that does not end takes the rest along."""
    begins, parts, at = _scanners[0], [], 0
    while found := begins.search(text, at):
        parts += [text[at : found.start()], MARK]
        end = text.find("-----END", found.end())
        close = text.find("-----", end + 8) if end >= 0 else -1
        if close < 0:
            return "".join(parts)
        at = close + 5
    return "".join([*parts, text[at:]])


def _pairs(text: str) -> str:
    """Names with values: what belongs to a harmless name is looked through too (``x = connect(password='…')``)."""
    _, names, values, tails = _scanners
    parts, at, look = [], 0, 0
    while name := names.search(text, look):
        look = name.end()
        strength = _strength(name[1])
        value = values.match(text, look) if strength else None
        if value is not None and _is_assigned(name, value[0], strength):
            parts += [text[at:look], _replaced(value[0])]
            rest = tails.match(text, value.end()) if len(value[0]) >= 300 and value[0][0] not in "\"'" else None
            at = look = rest.end() if rest is not None else value.end()
    return "".join([*parts, text[at:]]) if parts else text


def _is_assigned(name: re.Match[str], value: str, strength: int) -> bool:
    _, quote, separator = name.groups()
    if _harmless(value) or (separator == "]" and not quote):
        return False
    if strength > 1:
        return True
    # "Session: 3 of 5" is prose; `token=…`, `"token": "…"` and `cookies['sid']` are not
    prose = ":" in separator and not quote and value[0] not in "\"'"
    return not _small_number(value) and (not prose or _like_a_token(value))


def _like_a_token(value: str) -> bool:
    return len(value) >= 12 and any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _kept(match: re.Match[str]) -> str:
    kept = next(part for part in match.groups() if part is not None)
    return f"{kept}{MARK}{'@' if '://' in kept else ''}"


def _quoted(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}{MARK}{match[2]}"


def _element(match: re.Match[str]) -> str:
    return f"{match[1]}{MARK}" if _strength(match[2]) > 1 else match[0]


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


_MYSQL = ("mysql", "mysqldump", "mysqladmin", "mysqlimport", "mariadb", "mariadb-dump", "mariadb-admin")
_GLUED = dict.fromkeys((*_MYSQL, "sshpass", "7z", "7za", "7zr", "rar"), "-p") | {"redis-cli": "-a", "curl": "-u"}
_CURL = ("-u", "--user", "-U", "--proxy-user", "-b", "--cookie", "--oauth2-bearer")
_MONGO = dict.fromkeys(("mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport"), ("-p",))
_SPACED = {
    "sshpass": ("-p",), "redis-cli": ("-a",), "curl": _CURL, "ldapsearch": ("-w",), "smbclient": ("-U",),
    "sqlcmd": ("-P",), "bcp": ("-P",), "zip": ("-P",), "unzip": ("-P",), "openssl": ("-k", "-K"),
    "aws": ("aws_secret_access_key", "aws_session_token"), "login": ("-p",),
} | _MONGO  # fmt: skip
_ORACLE = ("sqlplus", "rman", "expdp", "impdp", "sqlldr")


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
        if base in _GLUED or base in _SPACED or base in _ORACLE:
            tool = base
        if next_is_secret and not argument.startswith("--"):
            result.append(_user_part(argument) if tool in ("curl", "smbclient") and _before(result) else MARK)
            next_is_secret = False
            continue
        named = argument.startswith("-") and "=" not in argument and len(argument) > 3
        next_is_secret = argument in _SPACED.get(tool, ()) or (named and is_secret_name(argument))
        glued = _GLUED.get(tool)
        if glued and argument.startswith(glued) and not argument.startswith("--") and len(argument) > len(glued):
            result.append(glued + (_user_part(argument[len(glued) :]) if tool == "curl" else MARK))
        elif tool == "curl" and argument.startswith(("--user=", "--proxy-user=")):
            name, _, value = argument.partition("=")
            result.append(f"{name}={_user_part(value)}")
        elif tool in _ORACLE and "/" in argument and not argument.startswith(("/", "-", "@")):
            user, _, rest = argument.partition("/")
            result.append(f"{user}/{MARK}{rest[rest.find('@') :] if '@' in rest else ''}")
        else:
            result.append(redact(argument, extra))
    return result


def _before(result: list[str]) -> bool:
    """Does ``name:secret`` follow, and not a secret alone?"""
    return result[-1] in ("-u", "--user", "-U", "--proxy-user")


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
