"""``statustui verify``: does what the store says agree with the files that are there?"""

import os
from typing import TYPE_CHECKING, Any

import click

from statustui.cli.itemizing import pipeline_of, pipeline_option, step_of
from statustui.cli.session import NO, OK, USAGE, Session, Stop, shared
from statustui.cli.shapes import VERSION

if TYPE_CHECKING:
    from statustui.pipelines.verify import Verified

_SHOWN = 20
_EPILOG = """\b
Example:
  statustui verify --pipeline auctions --pattern 'judge=data/properties/{key}/documents/*.pdf' --fix --dry-run
"""


@click.command("verify", short_help="Compare items with the files on disk.", epilog=_EPILOG)
@pipeline_option
@click.option(
    "--pattern", multiple=True, required=True, metavar="STEP=PATH",
    help="Files that a step makes; {key} is the item, {name} an attribute of it. Repeat for more steps.",
)  # fmt: skip
@click.option("--root", metavar="DIR", default=".", help="Directory that the paths begin at.")
@click.option("--fix", is_flag=True, help="Bring the store up to date with the files; never touches files.")
@click.option("--dry-run", is_flag=True, help="With --fix: only say what it would change.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@shared
@click.pass_obj
def command(
    session: Session,
    pipeline: str | None,
    pattern: tuple[str, ...],
    root: str,
    fix: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Report files without state and state without files; exit status 1 when there are any."""
    if fix and not dry_run:
        session.check_writable()
    if not os.path.isdir(root):
        raise Stop(USAGE, f"no directory {root!r}")
    with session.reading() as store:
        info = pipeline_of(store, pipeline)
        patterns = _patterns(info, pattern)
    from statustui.cli.coordinated import coordinator_of

    coordinator = coordinator_of(session, info.name)
    from statustui.pipelines.verify import verify

    found = verify(coordinator, patterns, root=root)
    if not session.as_json:
        _write(session, found, fix=fix)
    if fix and not dry_run and found.found:
        session.confirm(f"Mend {len(found.found):,} in the store?", yes=yes)
        found = verify(coordinator, patterns, root=root, fix=True)
        if not session.as_json:
            session.out.line(f"{found.fixed:,} mended")
    if session.as_json:
        session.out.json(_as_json(info.name, found, dry_run=dry_run or not fix))
    return OK if found.ok else NO


def _patterns(info: Any, given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given:
        step, equals, path = one.partition("=")
        if not equals or not path:
            raise Stop(USAGE, f"--pattern {one!r}: write STEP=PATH, such as judge=data/{{key}}/*.pdf")
        found[step_of(info, step).key] = path
    return found


def _write(session: Session, found: "Verified", *, fix: bool) -> None:
    out = session.out
    out.line(f"{found.items:,} items, {found.checked:,} steps looked at: {len(found.found):,} do not agree.")
    for one in found.found[:_SHOWN]:
        status = f" ({one.status.value})" if one.status else ""
        files = f"  {', '.join(one.files[:3])}" if one.files else ""
        remedy = f"  -> {one.remedy}" if fix else ""
        out.fitted(f"  {one.key} @ {one.step}{status}: ", (one.finding.value, "yellow"), files, remedy)
    if len(found.found) > _SHOWN:
        out.line(f"  ... and {len(found.found) - _SHOWN:,} more (--json has all)")


def _as_json(pipeline: str, found: "Verified", *, dry_run: bool) -> dict[str, Any]:
    return {
        "version": VERSION,
        "pipeline": pipeline,
        "items": found.items,
        "checked": found.checked,
        "dry_run": dry_run,
        "fixed": found.fixed,
        "found": [
            {
                "key": one.key,
                "step": one.step,
                "finding": one.finding.value,
                "status": one.status.value if one.status else None,
                "files": list(one.files),
                "remedy": one.remedy,
            }
            for one in found.found
        ],
    }
