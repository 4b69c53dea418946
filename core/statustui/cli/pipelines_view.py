"""``statustui pipelines view``: one wide view of a pipeline for people's SQL."""

import click

from statustui.cli.changing import change_options
from statustui.cli.itemizing import pipeline_of
from statustui.cli.session import NO, OK, USAGE, Session, Stop, shared
from statustui.cli.shapes import VERSION

_EPILOG = """\b
Examples:
  statustui pipelines view auctions
  statustui pipelines view auctions --name status --column case_number=key --column auction_date=date
  statustui pipelines view auctions --drop
"""


@click.command("view", short_help="Make the view status_<pipeline>: a column for each step.", epilog=_EPILOG)
@click.argument("pipeline", required=False)
@click.option("--name", metavar="VIEW", help="What it shall be called: status, or status_… (status_<pipeline>).")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=SOURCE",
    help="A further column: key, kind, date, status … or attributes.NAME under another name.",
)
@click.option("--drop", is_flag=True, help="Remove it.")
@change_options
@shared
@click.pass_obj
def view(
    session: Session,
    pipeline: str | None,
    name: str | None,
    columns: tuple[str, ...],
    drop: bool,
    yes: bool,
    dry_run: bool,
) -> int:
    """Make (or make anew) a view with a row for each item and step_<key> timestamps, or remove it.

    After a change of the pipeline's steps it must be made anew. --dry-run prints its SQL.
    """
    session.check_writable()
    if drop and columns:
        raise Stop(USAGE, "--column is for making a view, not for --drop")
    wanted = _columns(columns)
    with session.reading(write=not dry_run) as store:
        from statustui.control.actor import actor
        from statustui.store import item_wide

        info = pipeline_of(store, pipeline)
        called = name or item_wide.view_name(info.name)
        sql = None
        if drop:
            done = "would be removed" if dry_run else "removed"
            if not dry_run:
                session.confirm(f"Remove the view {called}?", yes=yes)
                if item_wide.drop_view(store, info.name, view=name, actor=actor()) is None:
                    raise Stop(NO, f"there is no view {called}")
        else:
            _, sql = item_wide.view_sql(store, info.name, view=name, columns=wanted)
            done = "would be made" if dry_run else "made"
            if not dry_run:
                session.confirm(f"Make the view {called} of {info.name}?", yes=yes)
                item_wide.make_view(store, info.name, view=name, columns=wanted, actor=actor())
    if session.as_json:
        told = {"version": VERSION, "pipeline": info.name, "view": called, "action": "drop" if drop else "make"}
        session.out.json(told | {"dry_run": dry_run, "sql": sql})
        return OK
    if dry_run and sql:
        session.out.line(f"CREATE VIEW {called} AS")
        for line in sql.splitlines():
            session.out.line(line)
    else:
        session.out.line(f"view {called} {done}")
    return OK


def _columns(given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given:
        name, mark, source = one.partition("=")
        if not mark:
            raise Stop(USAGE, f"--column {one!r}: write it as NAME=SOURCE, such as case_number=key")
        found[name.strip()] = source.strip()
    return found
