"""``statustui doctor --recount``: are the counters of items what counting everything gives?"""

from typing import TYPE_CHECKING

from statustui.cli.session import NO, OK, Session
from statustui.cli.shapes import VERSION

if TYPE_CHECKING:
    from statustui.model.items import Difference

_SHOWN = 20


def show_recount(session: Session, *, fix: bool, yes: bool) -> int:
    """Count everything anew, print what differs, and mend it if that is wanted; 1 while something differs."""
    if fix:
        session.check_writable()
    with session.reading(write=fix) as store:
        from statustui.control.actor import actor
        from statustui.store import item_counts

        found = item_counts.recount(store)
        fixed = False
        if found and fix:
            if not session.as_json:
                _write(session, found)
            session.confirm(f"Mend {len(found):,} counters?", yes=yes)
            found = item_counts.recount(store, fix=True)
            item_counts.note_recount(store, len(found), actor())
            fixed = True
    if session.as_json:
        session.out.json(
            {
                "version": VERSION,
                "equal": not found,
                "fixed": fixed,
                "differences": [
                    {
                        "pipeline": one.pipeline,
                        "period": one.period or None,
                        "kind": one.kind or None,
                        "step": one.step or None,
                        "status": one.status,
                        "stored": one.stored,
                        "counted": one.counted,
                    }
                    for one in found
                ],
            }
        )
    elif not found:
        session.out.line("All counters of items are what counting gives.")
    elif fixed:
        session.out.line(f"{len(found):,} counters were mended: all are what counting gives now.")
    else:
        _write(session, found)
        session.out.line("To mend them: statustui doctor --recount --fix")
    return OK if fixed or not found else NO


def _write(session: Session, found: "list[Difference]") -> None:
    count = "1 counter differs" if len(found) == 1 else f"{len(found):,} counters differ"
    session.out.line((f"{count} from counting:", "red"))
    for one in found[:_SHOWN]:
        place = " ".join(filter(None, (one.pipeline, one.step or "items", one.kind, one.period)))
        what = f"{one.stored:,}, counted {one.counted:,}" if one.stored != one.counted else "other durations"
        session.out.line(f"  {place} {one.status}: {what}")
    if len(found) > _SHOWN:
        session.out.line(f"  ... and {len(found) - _SHOWN:,} more")
