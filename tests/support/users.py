"""Doing something as another user of the machine; only root can, so tests skip elsewhere."""

import os
import traceback
from collections.abc import Callable

import pytest

NOBODY = 65_534
OTHER = 12_345

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_user(uid: int, what: Callable[[], object]) -> str:
    """Call *what* in a forked child of another uid, without groups.

    Returns:
        ``ok``, or the name of the exception's class and its text.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = "ok"
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            what()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
            if os.environ.get("SHOW_TRACEBACK"):
                traceback.print_exc()
        finally:
            os.write(write, said.encode("utf-8", "replace")[:4000])
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said
