"""The command that does something where it can be done: shown to a person, who may paste it into a shell."""

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from statustui.config import Settings

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,250}")


def there(host: str, settings: "Settings", verb: str, number: int, user: str | None = None) -> str:
    """``ssh db3 sudo -u etl statustui retry 4817``.

    Host and user come from the store. What is no plain name is left to the person: quoting does not help against a
    name that begins with ``-`` and is an option, or one that a shell on the other side reads once more.

    Args:
        host: the host as the store has it; the user's own configuration may name it otherwise.
        settings: the configuration.
        verb: the command.
        number: the run's short id.
        user: whose run it is, where that is somebody else.
    """
    configured = settings.ssh.get(host)
    name = shlex.quote(configured) if configured is not None else host if _NAME.fullmatch(host) else "HOST"
    return f"ssh {name} {as_user(user)}statustui {verb} {number}"


def as_user(user: str | None) -> str:
    """``sudo -u etl `` before a command, nothing for one's own."""
    if user is None:
        return ""
    return f"sudo -u {user if _NAME.fullmatch(user) else 'USER'} "
