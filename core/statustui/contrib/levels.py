"""How bars of other libraries become the two levels that people see:

- A bar is a subtask with items. Where the program has an open subtask of its own that counts nothing, it fills that.
- A bar inside another one: each item of the outer becomes a subtask (k of n) that has the inner one's items, and the
  outer a heading. Where the outer is long or has no total, it stays one subtask, and the inner one moves its percent
  and is its message: a thousand outer items never make a thousand subtasks.
- Bars that move at the same time are no levels: each is a subtask. A third level, and bars of other threads while the
  main thread has one, and of forked workers whose parent has one, are not counted: what contains them is.
"""

import _thread
import sys

from statustui.model import values
from statustui.model.status import SubtaskStatus
from statustui.record import ends
from statustui.record.run import Run
from statustui.record.subtask import FarSubtask, Subtask, current_subtask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Reading = tuple[int, int | None, str | None]
    """(items done, items in all, what it says beside its name)."""

LEVELS = 500
"""An outer bar of at most so many items becomes a heading with a subtask for each."""
MOST = 1_000
"""Subtasks that bars begin in one run; further bars are counted in one subtask."""
_STRIKES = 2
"""So often an outer bar is seen to move while an inner one is open, before they are taken for neighbours."""
_MESSAGE = 1_000
opened: list["Bar"] = []
"""Open bars that are subtasks (not those inside them), oldest first."""
_parked: list["Bar"] = []
"""Open bars whose display is not shown: what begins now is not inside them."""


class _Ledger:
    """What bars have begun in one run."""

    __slots__ = ("begun", "filled", "headings", "rest", "run", "said", "told")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.begun = 0
        self.headings = 0
        self.told: int | None = None
        self.rest: Subtask | None = None
        self.filled: set[int] = set()
        """Numbers of the program's own subtasks that bars have counted in."""
        self.said: dict[int, str | None] = {}
        """What bars have last said in subtasks that are not theirs, by number."""


_ledger: _Ledger | None = None


def forget() -> None:
    """In a forked child: what bars have begun is the parent's."""
    global _ledger
    _ledger = None


def _ledger_of(run: Run) -> _Ledger:
    global _ledger
    if _ledger is None or _ledger.run is not run:
        _ledger = _Ledger(run)
    return _ledger


class Bar:
    """One bar of another library. Made by :func:`begin`."""

    __slots__ = (
        "apart", "counts", "ended", "inners", "last", "leaf", "loops", "mark", "name", "nested", "others", "outer",
        "owned", "read", "run", "seen", "split", "strikes", "sub", "thread", "unit",
    )  # fmt: skip

    def __init__(self, run: Run, read: "Callable[[], Reading]", name: str, unit: str | None) -> None:
        self.run = run
        self.read = read
        self.name = name
        self.unit = unit
        self.thread = _thread.get_ident()
        self.loops = False
        self.ended = False
        self.last: Reading = (0, None, None)
        self.sub: Subtask | None = None
        self.counts = False
        """The subtask's count is the bar's."""
        self.owned = False
        """The subtask is this bar's own, to be ended with it."""
        self.outer: Bar | None = None
        self.inners: list[Bar] = []
        """Open bars inside it, of its own thread."""
        self.others: list[Bar] = []
        """Open bars of other threads, and those inside its inner ones."""
        self.nested = False
        """Known to contain others."""
        self.apart = False
        """Known to stand beside others."""
        self.split: bool | None = None
        """True: a subtask for each item; False: one for all; None: not decided."""
        self.leaf: Subtask | None = None
        """The subtask of the item in hand, where it is split."""
        self.seen = 0
        self.mark = 0
        self.strikes = 0

    def now(self) -> "Reading":
        """How far it is; what was last known where that can not be read."""
        try:
            done, total, message = self.read()
            self.last = (values.count(done) or 0, values.count(total), message)
        except Exception:  # somebody else's object, changed under us
            return self.last
        return self.last

    @property
    def words(self) -> str:
        """In few words, for a place that has no bar."""
        done, total, _ = self.now()
        count = f"{done:,}" if total is None else f"{done:,}/{total:,}"
        return f"{self.name} {count}".strip()


def place(bar: Bar) -> None:
    """Decide what a bar that begins is in its run."""
    if bar.run._pending:
        bar.run._settle_pending()  # a loop was left by an exception, and the program goes on
    opened[:] = [one for one in opened if one.run._state == "open"]
    _parked[:] = [one for one in _parked if one.run._state == "open"]
    mine = [one for one in opened if one.thread == bar.thread and not one.apart and one.run is bar.run]
    if mine:
        enter(mine[-1], bar)
        return
    if any(one.thread == bar.thread for one in opened):
        _top(bar)
        return
    main = _main_thread()
    elsewhere = [one for one in opened if one.run is bar.run and one.thread == main]
    if elsewhere:
        bar.outer = elsewhere[0]
        bar.outer.others.append(bar)
        return
    host = _host(bar.run)
    if host is None:
        _top(bar)
    elif _may_fill(host):
        _ledger_of(bar.run).filled.add(host.number)
        bar.sub = host
        host._n, host._base = 0, 0
        _count_by(host, bar)
        opened.append(bar)
    else:
        bar.sub = host
        bar.apart = True
        opened.append(bar)


def _main_thread() -> int | None:
    threading = sys.modules.get("threading")
    return threading.main_thread().ident if threading is not None else _thread.get_ident()


def _host(run: Run) -> Subtask | None:
    """An open subtask that the program itself has begun."""
    own = current_subtask.get()
    if own is not None and own._run is run and not own._ended:
        return own
    known = {id(sub) for one in (*opened, *_parked) for sub in (one.sub, one.leaf) if sub is not None}
    ledger = _ledger_of(run)
    if ledger.rest is not None:
        known.add(id(ledger.rest))
    others = [sub for sub in tuple(run._subs.values()) if id(sub) not in known]
    return max(others, key=lambda sub: sub.number, default=None)


def _may_fill(sub: Subtask) -> bool:
    """True for a subtask that the program counts nothing in."""
    if isinstance(sub, FarSubtask) or not sub._mine or sub._read is not None:
        return False
    return sub.number in _ledger_of(sub._run).filled or (sub._total is None and sub._count() == 0)


def _top(bar: Bar) -> None:
    """A subtask of its own."""
    ledger = _ledger_of(bar.run)
    if ledger.begun >= MOST:
        bar.sub = _rest(ledger)
        bar.apart = True
        opened.append(bar)
        return
    _, total, _ = bar.now()
    bar.sub = bar.run._begin(bar.name or "items", total, bar.unit, None)
    bar.owned = True
    ledger.begun += 1
    _count_by(bar.sub, bar)
    opened.append(bar)
    _tell_total(ledger)


def _rest(ledger: _Ledger) -> Subtask:
    if ledger.rest is None or ledger.rest._ended:
        ledger.rest = ledger.run._begin("further bars", None, "bars", None)
    return ledger.rest


def _count_by(sub: Subtask, bar: Bar) -> None:
    """Let *sub* count what the bar counts."""
    bar.counts = True
    sub._total = bar.now()[1]
    if isinstance(sub, FarSubtask) or not sub._mine:
        return  # in a worker process the count stands in its counts file: it is set at every look
    sub._read = lambda: bar.now()[0] + 1


def enter(outer: Bar, bar: Bar) -> None:
    """*bar* begins inside *outer*."""
    look(outer)
    bar.outer = outer
    if not all(_full(one) for one in outer.inners):
        outer.others.append(bar)  # a third level, or an inner one whose forerunner is closed in a moment
        return
    _inside(outer, bar)


def _inside(outer: Bar, bar: Bar) -> None:
    """*bar* is the inner one of *outer*."""
    outer.inners.append(bar)
    outer.mark = outer.seen
    outer.strikes = 0
    outer.nested = outer.nested or outer.loops
    if outer.nested:
        _leaf(outer, bar)


def _full(bar: Bar) -> bool:
    done, total, _ = bar.now()
    return total is not None and done >= total


def _leaf(outer: Bar, inner: Bar) -> None:
    """The item of *outer* in hand is a subtask with the items of *inner*."""
    if outer.split is None:
        _decide(outer)
    if not outer.split or outer.sub is None:
        return
    ledger = _ledger_of(outer.run)
    name = inner.name
    if outer.leaf is None or outer.leaf._ended:
        name = name or f"{outer.name or 'item'} {outer.seen + 1}"
        outer.leaf = outer.run._begin(name, inner.now()[1], inner.unit, None, parent=outer.sub)
        ledger.begun += 1
    elif name and outer.leaf.name != name and outer.leaf._run._session is not None:
        session = outer.leaf._run._session
        outer.leaf.name = session.text(name)
        session.fact("sub.info", outer.run.run_id, n=outer.leaf.number, name=outer.leaf.name)
    outer.leaf._n, outer.leaf._base, outer.leaf._message = 0, 0, None
    _count_by(outer.leaf, inner)
    _tell_total(ledger)


def _decide(outer: Bar) -> None:
    done, total, _ = outer.now()
    ledger = _ledger_of(outer.run)
    outer.split = (
        outer.owned
        and not outer.run._foreign
        and total is not None
        and 2 <= total <= LEVELS
        and done <= 1  # what was done without inner bars was no subtask
        and ledger.begun + total <= MOST
    )
    if outer.split:
        ledger.headings += 1
        outer.seen = 0
        _advance(outer, done)


def _advance(outer: Bar, done: int) -> None:
    """*outer* has come to *done*: the subtasks of the items before are complete."""
    ledger = _ledger_of(outer.run)
    while outer.seen < done:
        leaf, outer.leaf = outer.leaf, None
        outer.seen += 1
        if leaf is None:
            if ledger.begun >= MOST:
                outer.seen = done
                return
            leaf = outer.run._begin(f"{outer.name or 'item'} {outer.seen}", None, None, None, parent=outer.sub)
            ledger.begun += 1
        _freeze(leaf)
        leaf._end(SubtaskStatus.COMPLETED)


def _freeze(sub: Subtask) -> None:
    """Keep what is counted, and read no more."""
    if sub._read is not None:
        number, sub._read = sub._count(), None
        sub._base, sub._n = 0, number


def _tell_total(ledger: _Ledger) -> None:
    """Where items are subtasks it is known how many there will be, as far as anybody can know now."""
    run = ledger.run
    session = run._session
    split = [one for one in opened if one.split and one.run is run]
    if session is None or run._foreign or run._given.get("subtasks") is not None or not (split or ledger.told):
        return
    # all that have begun, those of the program too: the counter tells its next number, and can not be asked otherwise
    leaves = int(repr(run._numbers)[len("count(") : -1]) - 1 - ledger.headings
    for one in split:
        left = (one.now()[1] or 0) - one.seen - (one.leaf is not None)
        leaves += max(0, left)
    if leaves != ledger.told:
        ledger.told = leaves
        session.fact("run.info", run.run_id, total=leaves)


def keep_total() -> None:
    """Tell of subtasks that the program has begun itself since bars have told how many there will be."""
    if _ledger is not None and _ledger.told is not None:
        _tell_total(_ledger)


def look(bar: Bar) -> None:
    """Bring what is shown of an open bar up to date."""
    done, total, message = bar.now()
    moved = done > bar.seen
    if bar.split:
        bar.seen = min(bar.seen, done)
        _advance(bar, done)
        if bar.leaf is None and bar.inners and not _full(bar.inners[-1]):
            _leaf(bar, bar.inners[-1])  # the outer one is told late: what is open belongs to the next item
        _tell_total(_ledger_of(bar.run))
    else:
        bar.seen = done
    if moved and bar.inners and not bar.nested and not all(_full(one) for one in bar.inners):
        bar.strikes += 1
        if bar.strikes >= _STRIKES:
            _separate(bar)
    if bar.sub is not None:
        _show(bar, bar.sub, done, total, message)


def _show(bar: Bar, sub: Subtask, done: int, total: int | None, message: str | None) -> None:
    inner = bar.inners[-1] if bar.inners else bar.others[-1] if bar.others else None
    if bar.counts:
        sub._total = total
        if isinstance(sub, FarSubtask):
            sub._set(done)
    if bar.split:
        if bar.leaf is not None and inner is not None:
            _, bar.leaf._total, said = inner.now()
            bar.leaf._message = values.text(said, _MESSAGE) if said else None
        return
    if bar.counts and bar.nested:
        i, m, _ = inner.now() if inner is not None and inner in bar.inners else (0, None, None)
        sub._percent = min(100.0, 100.0 * (done + (min(1.0, i / m) if m else 0.0)) / total) if total else None
    _say(bar, sub, inner.words if inner is not None else message if bar.counts else bar.words)


def _say(bar: Bar, sub: Subtask, text: str | None) -> None:
    """Beside a subtask's bar; where the program says something itself, that stays."""
    said = values.text(text, _MESSAGE) if text else None
    if not bar.owned:
        ledger = _ledger_of(bar.run)
        if sub._message is not None and sub._message != ledger.said.get(sub.number):
            return
        ledger.said[sub.number] = said
    sub._message = said


def _separate(outer: Bar) -> None:
    """They move at the same time: each is a subtask."""
    outer.apart = True
    inside, outer.inners = outer.inners + outer.others, []
    outer.others = []
    if outer.sub is not None:
        outer.sub._message = None
    for one in inside:
        one.outer, one.apart = None, True
        _top(one)


def left(bar: Bar) -> None:
    """*bar* is no more inside its outer one."""
    outer = bar.outer
    if outer is None:
        return
    if bar in outer.others:
        outer.others.remove(bar)
        return
    if bar not in outer.inners:
        return
    done, total, _ = bar.now()
    outer.inners.remove(bar)
    now = outer.now()[0]
    if not outer.nested and not outer.apart and now - outer.mark <= 1:
        outer.nested = True  # it came and went while the outer one stood
    if outer.leaf is not None:
        outer.leaf._total = total
        if not outer.inners:
            outer.leaf._read = None
            outer.leaf._base, outer.leaf._n = 0, done
        else:
            _count_by(outer.leaf, outer.inners[-1])
    waiting = [one for one in outer.others if one.thread == outer.thread]
    if waiting and not outer.inners:
        outer.others.remove(waiting[0])
        _inside(outer, waiting[0])


def end(bar: Bar, error: BaseException | None, broken: bool) -> None:
    """A bar has ended, and with it what it is in its run."""
    if bar.ended:
        return
    bar.ended = True
    if bar.outer is not None:
        left(bar)
        return
    if bar.sub is not None and bar.run._state == "open":
        look(bar)
    for place_ in (opened, _parked):
        if bar in place_:
            place_.remove(bar)
    sub, leaf = bar.sub, bar.leaf
    if sub is None or bar.run._state != "open":
        return
    for one in (*bar.inners, *bar.others):
        one.outer = None  # whatever becomes of it: it was part of this
        one.ended = True
    if leaf is not None:
        _freeze(leaf)
        _finish(leaf, error, broken)
    if bar.owned:
        _freeze(sub)
        if bar.nested and not bar.split:
            sub._percent = None
        if bar.inners or bar.others or (bar.nested and not bar.split):
            _say(bar, sub, bar.last[2])
        _finish(sub, error, broken)
    elif sub is _ledger_of(bar.run).rest:
        sub.advance()
    else:
        _freeze(sub)
    if bar.split:
        _tell_total(_ledger_of(bar.run))


def park(bar: Bar, *, shown: bool) -> None:
    """The display of *bar* was taken from the screen, or is shown again."""
    source, target = (_parked, opened) if shown else (opened, _parked)
    if bar in source:
        source.remove(bar)
        target.append(bar)


def again(bar: Bar) -> None:
    """*bar* begins anew: inside another one that is the next item's."""
    outer = bar.outer
    if not bar.ended and outer is not None and bar in outer.inners:
        left(bar)
        outer.nested = True
        enter(outer, bar)


def _finish(sub: Subtask, error: BaseException | None, broken: bool) -> None:
    if error is not None:
        sub._end(*ends.of_subtask(sub, error))
    elif broken:
        sub._broken_off(0, True, True)
    else:
        sub._end(SubtaskStatus.COMPLETED)
