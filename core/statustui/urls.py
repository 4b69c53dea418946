"""Store URLs: what people type, the one canonical form, and the form that may be shown."""

import os

from statustui.errors import ConfigError

_POSTGRES = ("postgres", "postgresql")
_HIDDEN = "***"


def canonical_url(url: str, base: str | None = None) -> str:
    """The one form of a store URL that all parts use and whose hash names the spool.

    Args:
        url: A path, ``sqlite:///…``, ``postgresql://…``, ``postgres://…`` or a libpq string (``host=… dbname=…``).
        base: Directory that relative paths start from; the working directory when None.

    Returns:
        ``sqlite:////absolute/path`` or ``postgresql+psycopg://user:password@host/name``, nothing hidden.

    Raises:
        ConfigError: it is no store that statustui can use.
    """
    text = url.strip()
    if not text or "\0" in text or "\n" in text:
        raise ConfigError("the store's URL is empty or has a line break in it")
    scheme, sep, rest = text.partition("://")
    if not sep:
        if scheme.startswith("sqlite:"):
            raise ConfigError(f"store {text!r}: write sqlite:////absolute/path, or just the path")
        return _conninfo_url(text) if _is_conninfo(text) else _sqlite_url(text, base)
    dialect, _, driver = scheme.lower().partition("+")
    if dialect == "sqlite" and driver in ("", "pysqlite"):
        if not rest.startswith("/"):
            raise ConfigError(f"store {text!r}: SQLite has no host; write sqlite:////absolute/path")
        return _sqlite_url(rest[1:], base)
    if dialect in _POSTGRES:
        return f"postgresql+psycopg://{rest}"
    raise ConfigError(f"store {display_url(text)!r}: give a path, sqlite:////path or postgresql://host/name")


def _sqlite_url(path: str, base: str | None) -> str:
    if path in ("", ":memory:"):
        raise ConfigError("the store must be a file: programs and viewers share it")
    if "?" in path:
        raise ConfigError(f"store {path!r}: a path with '?' (or options after it) can not be used")
    path = os.path.expanduser(path)
    if not os.path.isabs(path):
        path = os.path.join(base or os.getcwd(), path)
    path = os.path.normpath(path)
    return "sqlite:///" + (path[1:] if path.startswith("//") else path)


def _is_conninfo(text: str) -> bool:
    first = text.split("=", 1)
    return len(first) == 2 and first[0].strip() in ("host", "hostaddr", "dbname", "user", "port", "password", "service")


def _conninfo_url(text: str) -> str:
    """URL of a libpq connection string: ``key=value`` words, values quoted by ``'`` where needed."""
    import shlex

    try:
        pairs = dict(word.split("=", 1) for word in shlex.split(text.replace(" = ", "=")))
    except ValueError:
        raise ConfigError("the store's libpq string is not made of key=value words") from None
    return postgres_url(
        host=pairs.pop("host", pairs.pop("hostaddr", "")),
        port=pairs.pop("port", ""),
        name=pairs.pop("dbname", ""),
        user=pairs.pop("user", ""),
        password=pairs.pop("password", ""),
        options=pairs,
    )


def postgres_url(
    *, host: str, port: str, name: str, user: str, password: str, options: dict[str, str] | None = None
) -> str:
    """Canonical URL of a PostgreSQL store from its parts; an empty part is left out."""
    from urllib.parse import quote

    query = dict(options or {})
    if host.startswith("/"):
        query["host"], host = host, ""
    login = quote(user, safe="") + (":" + quote(password, safe="") if password else "")
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    url = f"postgresql+psycopg://{login}{'@' if login else ''}{place}/{quote(name, safe='')}"
    return url + ("?" + "&".join(f"{k}={quote(v, safe='/')}" for k, v in query.items()) if query else "")


def _split_password(url: str) -> tuple[str, str, str]:
    """What stands before, in and after the password of *url*; the middle is empty when there is none."""
    scheme, sep, rest = url.partition("://")
    if not sep or scheme.startswith("sqlite"):
        return url, "", ""
    end = len(rest)
    for char in "/?":
        found = rest.find(char)
        end = min(end, found) if found >= 0 else end
    at = rest.rfind("@", 0, end)
    if at < 0:
        # A password may itself hold an unquoted '/', '?' or '#'.
        at = rest.rfind("@")
    colon = rest.find(":", 0, at) if at >= 0 else -1
    if colon < 0:
        return url, "", ""
    head = len(scheme) + 3 + colon + 1
    return url[:head], url[head : len(scheme) + 3 + at], url[len(scheme) + 3 + at :]


def _split_query_password(url: str) -> tuple[str, str, str]:
    start = url.find("?")
    at = url.find("password=", start) if start >= 0 else -1
    if at < 0:
        return url, "", ""
    head = at + len("password=")
    end = url.find("&", head)
    end = len(url) if end < 0 else end
    return url[:head], url[head:end], url[end:]


def has_password(url: str) -> bool:
    """True when a password stands in *url*."""
    return bool(_split_password(url)[1] or _split_query_password(url)[1])


def without_password(url: str) -> str:
    """*url* with its password, and the colon before it, left out: what the spool's name is made from."""
    before, secret, after = _split_password(url)
    url = before.rstrip(":") + after if secret or after else url
    before, secret, after = _split_query_password(url)
    return before + after


def display_url(url: str) -> str:
    """*url* as it may be shown: the password hidden; the plain path for SQLite."""
    if url.startswith("sqlite:////"):
        return url[len("sqlite:///") :]
    for split in (_split_password, _split_query_password):
        before, secret, after = split(url)
        if secret:
            url = before + _HIDDEN + after
    return url
