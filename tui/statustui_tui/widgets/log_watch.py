"""Says when something happens in the directory of a log, sooner than asking would."""

import os
import threading
from collections.abc import Callable

from statustui_tui.widgets.log_source import on_network


class LogWatch:
    """Watches the directory, not the file: a watched file that is replaced would be watched no more."""

    def __init__(self, path: str, notify: Callable[[], None]) -> None:
        """Prepare to watch.

        Args:
            path: The log.
            notify: Called from a thread when it may have changed.
        """
        self._path = os.path.abspath(path)
        self._notify = notify
        self._stop = threading.Event()
        self.working = False
        """False while somebody has to ask again and again."""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless the file system does not tell of changes."""
        if on_network(self._path):
            return
        self._thread = threading.Thread(target=self._run, name="log-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End soon; nothing is waited for."""
        self._stop.set()

    def _run(self) -> None:
        # Here, not above: the import takes longer than the first screen may.
        from watchfiles import watch

        name = os.path.basename(self._path)
        try:
            self.working = True
            for changes in watch(
                os.path.dirname(self._path),
                watch_filter=lambda _, path: os.path.basename(path) == name,
                stop_event=self._stop,
                recursive=False,
                step=20,
                debounce=100,
                rust_timeout=1000,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                if changes:
                    self._notify()
        except (OSError, RuntimeError):
            # No inotify watches left, or the directory is gone: asking goes on.
            self.working = False
