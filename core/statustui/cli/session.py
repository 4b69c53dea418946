"""What every command shares: its common options, the configuration, the store, and how it stops."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

from statustui.cli.output import Output, warn
from statustui.config import Settings, display_url, load, remember_store
from statustui.errors import StatustuiError

if TYPE_CHECKING:
    from statustui.store.open import Store

OK, NO, USAGE, NO_STORE = 0, 1, 2, 3
"""Exit statuses: fine; the answer is no or a run ended badly; usage; the store can not be used."""

F = TypeVar("F", bound=Callable[..., Any])


class Stop(StatustuiError):
    """The command ends here with one line on standard error and an exit status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoStoreYet(Stop):
    """There is nothing to read yet."""


class Session:
    """One call of the command line."""

    def __init__(self) -> None:
        self.store: str | None = None
        """``--store``."""
        self.as_json = False
        """``--json``."""
        self.no_color = False
        """``--no-color``."""

    @cached_property
    def settings(self) -> Settings:
        """The configuration, as seen from the working directory."""
        return load(store=self.store)

    @cached_property
    def out(self) -> Output:
        """Standard output."""
        return Output(color=False if self.no_color else None)

    def store_exists(self) -> bool:
        """False when the store is a file that is not there yet."""
        url = self.settings.store_url
        return not url.startswith("sqlite:///") or os.path.exists(url[len("sqlite:///") :])

    @contextmanager
    def reading(self, *, write: bool = False) -> Iterator["Store"]:
        """The store, opened, after the user's own left-over journals were brought in.

        Args:
            write: It will be changed.

        Raises:
            Stop: it can not be used; one line says why.
        """
        from statustui.cli.bring import bring_in

        bring_in(self.settings)
        if not self.store_exists():
            raise _no_store_yet(self.settings.store_url)
        with store_errors(self.settings.store_url):
            from statustui.store.open import open_store

            with open_store(self.settings.store_url, create=False, read_only=not write) as store:
                remember_store(self.settings.store_url)
                yield store

    def check_writable(self) -> None:
        """Refuse where the configuration says that nothing may be changed from here.

        Raises:
            Stop: it is read-only.
        """
        if self.settings.read_only:
            raise Stop(NO, "read_only is set in the configuration: nothing is changed from here")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before a change; without a terminal ``--yes`` must have said so.

        Raises:
            Stop: the answer was no, or nobody can be asked.
        """
        if yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise Stop(USAGE, "nobody to ask here: repeat with --yes (or look first with --dry-run)")
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Stop(NO, "nothing was changed")


def _no_store_yet(url: str) -> NoStoreYet:
    where = display_url(url)
    return NoStoreYet(NO_STORE, f"no store yet at {where}: record a run first, or name another one with --store")


@contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Turn whatever a store can fail with into one line and exit status 3.

    Raises:
        Stop: the store could not be opened or read.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from statustui.store.errors import NoStore, NotOurStore, StoreNewer, StoreUnavailable

    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise Stop(NO_STORE, f"store {display_url(url)}: {cause[0] if cause else type(error).__name__}") from error
    except NoStore as error:
        raise _no_store_yet(url) from error
    except (StoreUnavailable, StoreNewer, NotOurStore) as error:
        raise Stop(NO_STORE, str(error)) from error


def shared(command: F) -> F:
    """Add the options that every command has: ``--store``, ``--json`` and ``--no-color``."""

    def keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
        def callback(context: click.Context, _: click.Parameter, value: Any) -> None:
            if value:
                setattr(context.ensure_object(Session), name, value)

        return callback

    for decorate in (
        click.option("--no-color", is_flag=True, expose_value=False, callback=keep("no_color"), help="No colours."),
        click.option("--json", is_flag=True, expose_value=False, callback=keep("as_json"), help="Print JSON."),
        click.option(
            "--store", metavar="URL", expose_value=False, callback=keep("store"), help="Path or URL of the store."
        ),
    ):
        command = decorate(command)
    return command


def say_notes(settings: Settings) -> None:
    """Tell on standard error what a person should know about the configuration."""
    for note in settings.notes:
        warn(f"statustui: {note}")
