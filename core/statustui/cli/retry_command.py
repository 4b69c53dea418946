"""``statustui retry RUN… [-- CMD…]``."""

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from statustui.cli.changing import announce, change_options, report, targets
from statustui.cli.selecting import RUN, selectors
from statustui.cli.session import NO, OK, USAGE, Session, Stop, shared
from statustui.errors import StatustuiError
from statustui.model.run import Run
from statustui.model.status import RunStatus

if TYPE_CHECKING:
    from statustui.control.retry import RetryPlan
    from statustui.store.open import Store


def _again(run: Run) -> bool:
    return not run.status.open and run.status is not RunStatus.FINISHED and not run.retried


class _Command(click.Command):
    """Keeps what stands after ``--`` apart: it is the edited command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta["statustui.command"] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


_WHICH = "has ended badly and was not retried yet (an id starts a finished one again, too)"


@click.command(
    "retry",
    cls=_Command,
    short_help="Start runs again as new attempts.",
    epilog="""\b
Examples:
  statustui retry 4817
  statustui retry 4817 -- ./load.sh --from 2026-11-01""",
    options_metavar="[OPTIONS]",
)
@click.argument("runs", nargs=-1, metavar="[RUN]... [-- CMD...]", type=RUN)
@selectors
@click.option("--edit", is_flag=True, help="Edit the command before it is started.")
@click.option("--force", is_flag=True, help="Also while a run of the task is open, or a later attempt exists.")
@change_options
@shared
@click.pass_context
def command(
    context: click.Context,
    /,
    runs: tuple[str, ...],
    edit: bool,
    force: bool,
    yes: bool,
    dry_run: bool,
    **options: Any,
) -> int:
    """Start each RUN again as a new attempt, from its launch file on this host; it outlives this session.

    What stands after -- is run instead of the recorded command.
    """
    session: Session = context.obj
    edited = context.meta.get("statustui.command")
    session.check_writable()
    with session.reading() as store:
        found = targets(store, runs, options, _again, _WHICH)
        if (edit or edited is not None) and len(found) != 1:
            raise Stop(USAGE, "a command can be edited for one run only")
        if edited == []:
            raise Stop(USAGE, "nothing stands after --")
        plans = [_plan(session, store, run, force) for run in found]
    announce(session, "Retry", found)
    argv = edited
    for plan in plans:
        _describe(session, plan, argv)
    able = [(run, plan) for run, plan in zip(found, plans, strict=True) if plan.refusal is None]
    results = [(run, "refused", plan.refusal) for run, plan in zip(found, plans, strict=True) if plan.refusal]
    if able and not dry_run:
        if edit:
            argv = _edit(able[0][1], argv)
        session.confirm("Start it?" if len(able) == 1 else f"Start {len(able)}?", yes=yes)
        results += [_start(run, plan, argv) for run, plan in able]
    report(session, results)
    return NO if any(state == "refused" for _, state, _ in results) else OK


def _plan(session: Session, store: "Store", run: Run, force: bool) -> "RetryPlan":
    from statustui.control.retry import plan
    from statustui.store import reads
    from statustui.store.selector import Selector

    open_ones = Selector(tasks=(run.task,), statuses=(RunStatus.STARTED, RunStatus.RUNNING))
    return plan(
        session.settings.state_dir,
        run,
        settings=session.settings,
        open_runs=reads.runs(store, open_ones, limit=3, before=None),
        force=force,
    )


def _describe(session: Session, plan: "RetryPlan", argv: list[str] | None) -> None:
    if session.as_json or plan.refusal is not None:
        return
    out = session.out
    out.line("  command: ", (shlex.join(argv) if argv else plan.command, "bold"))
    out.line(f"  in:      {plan.cwd}")
    for line in plan.env_diff:
        out.line(f"  differs: {line}")
    out.line(f"  output:  {plan.output}")


def _edit(plan: "RetryPlan", argv: list[str] | None) -> list[str]:
    """Let a person edit the command in their editor."""
    if not sys.stdin.isatty():
        raise Stop(USAGE, "--edit needs a terminal; give the command after --")
    text = click.edit(shlex.join(argv or plan.argv) + "\n")
    if text is None:
        raise Stop(NO, "not saved: nothing was started")
    try:
        words = shlex.split(text, comments=True)
    except ValueError as error:
        raise Stop(USAGE, f"the command can not be read: {error}") from error
    if not words:
        raise Stop(NO, "empty: nothing was started")
    return words


def _start(run: Run, plan: "RetryPlan", argv: list[str] | None) -> tuple[Run, str, str]:
    from statustui.control.actor import actor
    from statustui.control.retry import start

    try:
        new = start(plan, by=actor(), argv=argv)
    except (StatustuiError, OSError) as error:
        return run, "refused", str(error)
    return run, "started", f"attempt {plan.attempt}, run id {new}"
