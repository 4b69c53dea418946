"""Installs the R package into the user's R library, with the path of this program in it."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from statustui.errors import StatustuiError

_SOURCE = Path(__file__).parent / "statustui"
_LIBRARY = (
    'l <- Sys.getenv("R_LIBS_USER"); l <- if (nzchar(l) && l != "NULL") strsplit(l, ":", fixed = TRUE)[[1]][1] '
    'else file.path(Sys.getenv("HOME"), "R", "library"); cat(path.expand(l))'
)


class RInstallError(StatustuiError):
    """The R package could not be installed."""


def install(library: str | None = None, rscript: str | None = None) -> Path:
    """Install the package; returns the library that it is in.

    Args:
        library: directory of R packages; the user's own when None, made when it is missing.
        rscript: the ``Rscript`` to use; that of PATH when None.

    Raises:
        RInstallError: there is no R, or its installation failed.
    """
    program = rscript or shutil.which("Rscript")
    if program is None:
        raise RInstallError("Rscript was not found; name it with --rscript")
    place = Path(library or _run([program, "--vanilla", "-e", _LIBRARY]).strip()).absolute()
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="statustui-r-") as work:
        package = prepare(Path(work))
        r = os.path.join(os.path.dirname(os.path.realpath(program)), "R")
        binary = r if os.access(r, os.X_OK) else "R"
        _run([binary, "CMD", "INSTALL", "--no-test-load", f"--library={place}", str(package)])
    return place


def prepare(work: Path) -> Path:
    """A copy of the package's source in *work*, with the path of this program in it."""
    package = work / "statustui"
    shutil.copytree(_SOURCE, package)
    (package / "inst").mkdir(exist_ok=True)
    words = [sys.executable, "-P", "-m", "statustui"]
    (package / "inst" / "program.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    return package


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise RInstallError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()
        raise RInstallError(f"{' '.join(command[:3])}: {last[-1]}")
    return done.stdout
