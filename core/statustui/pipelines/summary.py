"""The summary of a pipeline as text: what ``resume`` shows first, and ``statustui status --pipeline``. Pure."""

from collections.abc import Iterator
from datetime import date

from statustui.model.items import Failure, PipelineSummary, StepSummary
from statustui.model.pipeline import Step
from statustui.model.progress import shown_share
from statustui.model.status import ItemStatus
from statustui.pipelines.retrying import MAX_RETRIES

Span = tuple[str, str]
"""Text and the name of its style."""
Line = tuple[Span, ...]

RULE = "=" * 60
_BAR = 28
_FAILURES = 5
_LABEL = 3
_LINES = (
    ("Completed", ItemStatus.COMPLETED, "green"),
    ("In Progress", ItemStatus.PROCESSING, "cyan"),
    ("Pending", ItemStatus.PENDING, ""),
    ("Failed", ItemStatus.FAILED, "red"),
)


def lines(
    summary: PipelineSummary, *, ascii: bool = False, times: bool = False, max_retries: int = MAX_RETRIES
) -> Iterator[Line]:
    """The lines of the summary; whoever writes them cleans them.

    Args:
        summary: what to show.
        ascii: no block characters.
        times: how long the steps take, and what waits, runs and failed at each.
        max_retries: of steps that have no number of their own.
    """
    yield _plain(RULE)
    yield (("PIPELINE STATUS SUMMARY", "bold"),)
    yield _plain(RULE)
    yield from _range(summary)
    yield from _totals(summary)
    yield from _statuses(summary, ascii)
    yield from _steps(summary)
    if times:
        yield from _times(summary)
    yield from _failures(summary, max_retries)
    yield _plain(RULE)


def _plain(text: str = "") -> Line:
    return ((text, ""),)


def _range(summary: PipelineSummary) -> Iterator[Line]:
    first, last = summary.since or summary.first_date, summary.until or summary.last_date
    if first is not None and last is not None:
        days = (last - first).days + 1
        yield _plain(f"Date Range: {first} to {last} ({days:,} {'day' if days == 1 else 'days'})")
    elif first is not None:
        yield _plain(f"Date Range: from {first}")
    elif last is not None:
        yield _plain(f"Date Range: to {last}")
    else:
        yield _plain("Date Range: all")
    yield _plain()


def _totals(summary: PipelineSummary) -> Iterator[Line]:
    yield _plain(f"Total {titled(summary.pipeline)}: {summary.total:,}")
    named = sorted(((kind, n) for kind, n in summary.kinds.items() if kind), key=lambda entry: (-entry[1], entry[0]))
    labels = [f"{plural(titled(kind))}:" for kind, _ in named]
    wide = max(map(len, labels), default=0)
    digits = max((len(f"{n:,}") for _, n in named), default=0)
    for label, (_, n) in zip(labels, named, strict=True):
        yield _plain(f"  {label:<{wide}} {n:>{digits},}")
    yield _plain()


def _statuses(summary: PipelineSummary, ascii: bool) -> Iterator[Line]:
    yield _plain("By Status:")
    shown = [*_LINES]
    if summary.statuses.get(ItemStatus.SKIPPED):
        shown.append(("Skipped", ItemStatus.SKIPPED, "dim"))
    digits = len(f"{summary.total:,}")
    shares = [f"({shown_share(summary.statuses.get(status, 0), summary.total)}%)" for _, status, _ in shown]
    wide = max(map(len, shares))
    for (word, status, style), share in zip(shown, shares, strict=True):
        n = summary.statuses.get(status, 0)
        bar = _bar(n, summary.total, ascii)
        yield ((f"  {word + ':':<12} {n:>{digits},} {share:<{wide}}  ", ""), (bar, style if n else "dim"))
    yield _plain()


def _bar(part: int, whole: int, ascii: bool) -> str:
    full = min(_BAR, int(part / whole * _BAR + 0.5)) if whole else 0
    if part and not full:
        full = 1
    return ("#" if ascii else "█") * full + ("." if ascii else "░") * (_BAR - full)


def _steps(summary: PipelineSummary) -> Iterator[Line]:
    if not summary.steps:
        return
    yield _plain(f"Step Progress (of {summary.total:,} {summary.pipeline.replace('_', ' ')}):")
    marked = max((len(one.step.shown_label) for one in summary.steps), default=0)
    names = [f"{_marked(one, marked)}{one.step.shown}:" for one in summary.steps]
    wide = max(map(len, names)) + 2
    digits = max(len(f"{one.total:,}") for one in summary.steps)
    for name, one in zip(names, summary.steps, strict=True):
        share = shown_share(one.done, one.total)
        yield _plain(f"  {name:<{wide}}{one.done:>{digits},}/{one.total:,} ({share}%)")
    yield _plain()


def _marked(one: StepSummary, wide: int) -> str:
    """``Step 3.5- ``: the labels as wide as the longest; nothing where no step has one."""
    if not wide:
        return ""
    label = f"{one.step.shown_label:<{max(_LABEL, wide)}}"
    return f"Step {label}- " if one.step.shown_label else " " * len(f"Step {label}- ")


def marked(step: Step) -> str:
    """``Step 3.5- HomeHarvest``, or the title where it has no label."""
    return f"Step {step.shown_label:<{_LABEL}}- {step.shown}" if step.shown_label else step.shown


def _times(summary: PipelineSummary) -> Iterator[Line]:
    yield _plain("Step Times:")
    heads = ("average", "median", "p90", "waiting", "running", "failed")
    wide = max(len(one.step.shown) for one in summary.steps)
    yield (("  " + " " * wide + "".join(f"  {head:>8}" for head in heads), "dim"),)
    for one in summary.steps:
        figures = [_seconds(one.mean_s), _seconds(one.p50_s), _seconds(one.p90_s)]
        figures += [f"{n:,}" for n in (one.waiting, one.running, one.failed)]
        yield _plain(f"  {one.step.shown:<{wide}}" + "".join(f"  {figure:>8}" for figure in figures))
    slowest = summary.slowest
    if slowest is not None:
        yield _plain(f"  Slowest: {slowest.step.shown}, {_seconds(slowest.mean_s)} on average")
    yield _plain()


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _failures(summary: PipelineSummary, max_retries: int) -> Iterator[Line]:
    if not summary.failures:
        return
    shown = summary.failures[:_FAILURES]
    total = max(summary.statuses.get(ItemStatus.FAILED, 0), len(summary.failures))
    yield _plain(f"Recent Failures (showing {len(shown)} of {total:,}):")
    for failure in shown:
        yield failure_line(failure, max_retries)
    if total > len(shown):
        yield _plain("  ...")
    yield _plain()


def failure_line(failure: Failure, max_retries: int = MAX_RETRIES) -> Line:
    """``2024-CA-12346 @ Step 5: ORI rate limited (retry 3/3)``."""
    most = max_retries if failure.max_retries is None else failure.max_retries
    tries = f" (retry {failure.retries}/{most})" if failure.retries else ""
    where = f"Step {failure.step.shown_label}" if failure.step.shown_label else failure.step.shown
    error = " ".join((failure.error or "failed").split())
    return ((f"  {failure.key} @ {where}: ", ""), (error, "red"), (tries, ""))


def titled(name: str) -> str:
    """``tax deed`` → ``Tax Deed``; capitals that are there stay."""
    return " ".join(word[:1].upper() + word[1:] for word in name.replace("_", " ").split())


def plural(name: str) -> str:
    """A name for several of a kind."""
    if name.endswith(("s", "x", "ch", "sh")):
        return name if name.endswith("s") else name + "es"
    if name.endswith("y") and name[-2:-1].lower() not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


def as_date(value: object) -> date | None:
    """A date, or ISO text of one.

    Raises:
        ValueError: it is none.
    """
    from statustui.pipelines.values import day

    text = day(value)
    return None if text is None else date.fromisoformat(text)


def as_range(since: object, until: object) -> tuple[date | None, date | None]:
    """The first and the last date of a range.

    Raises:
        ValueError: one is no date, or the last comes before the first.
    """
    first, last = as_date(since), as_date(until)
    if first is not None and last is not None and last < first:
        raise ValueError(f"until {last} is before since {first}")
    return first, last
