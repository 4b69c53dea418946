"""A PostgreSQL connection that gives up when no answer comes.

The kernel notices a peer that does not acknowledge; a stalled proxy acknowledges everything and answers nothing, and
the server's own limits do not reach through it. Without this a drainer or a monitor would wait for ever.
"""

import time
from collections.abc import Generator
from typing import Any

import psycopg


class PatientConnection(psycopg.Connection[Any]):
    """Closes itself when one statement has no answer within ``limit_s`` seconds."""

    limit_s = 30.0

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for an answer.

        Raises:
            OperationalError: none came in time; the connection is closed.
        """
        return super().wait(self._limited(gen), *args, **kwargs)

    def _limited(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Pass on what *gen* asks for and gets; psycopg tells it every 0.1 s that nothing has come."""
        deadline = time.monotonic() + self.limit_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() >= deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer within {self.limit_s:g} s: connection given up")
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value
