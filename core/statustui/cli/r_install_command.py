"""``statustui r-install``: the R package into the user's R library."""

import click

from statustui.cli.session import OK, Session, shared
from statustui.cli.shapes import VERSION


@click.command(
    "r-install",
    short_help="Install the R package.",
    epilog="Example: statustui r-install    then, in R: library(statustui)",
)
@click.option("--library", metavar="DIR", help="Directory of R packages (default: R_LIBS_USER).")
@click.option("--rscript", metavar="PATH", help="The Rscript to use (default: that of PATH).")
@shared
@click.pass_obj
def command(session: Session, library: str | None, rscript: str | None) -> int:
    """Install the R package 'statustui' into your R library; it needs base R alone and calls this very program."""
    from statustui.clients.r.install import install

    place = install(library, rscript)
    if session.as_json:
        session.out.json({"version": VERSION, "library": str(place)})
    else:
        session.out.line(f"installed in {place}; in a script: library(statustui)")
    return OK
