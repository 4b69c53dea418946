"""Tasks of the real rich as subtasks: what is counted, how they nest and end, and that rich's output stays its own."""

import textwrap
from pathlib import Path

import pytest

from support.recording import Recorded, environment, only_run, recorded, run_script

pytest.importorskip("rich", reason="rich is not installed")
HEAD = """
import io, os, sys, time
import statustui
import statustui.contrib.rich
from statustui.contrib.rich import Progress, track
from statustui.record import state

def look():
    for one in state.every():
        one.show()
"""


def record(env: Path, state_dir: Path, code: str) -> Recorded:
    """What a program of *code* in a run's block has recorded."""
    body = textwrap.indent(textwrap.dedent(code), "    ")
    done = run_script(env / "shown.py", f'{HEAD}\nwith statustui.run("shown") as run:\n{body}', env=strict())
    assert (done.returncode, done.stderr) == (0, "")
    return only_run(state_dir)


def strict() -> dict[str, str]:
    return environment(STATUSTUI_STRICT="1")


def figures(run: Recorded) -> list[tuple[str, int, int | None, str]]:
    return [(sub.name, sub.complete, sub.total, sub.status) for _, sub in sorted(run.subs.items())]


@pytest.mark.parametrize("options", ["", "transient=True", "disable=True", "auto_refresh=False"])
def test_tasks_are_subtasks(options: str, env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        f"""
        for _ in track([1, 2, 3], "[red]list[/]" , {options}): pass
        for n in track(range(9), "break", {options}):
            if n == 4:
                break
        with Progress({options}) as progress:
            a = progress.add_task("advanced", total=4)
            for _ in range(4):
                progress.advance(a)
            b = progress.add_task("unknown", total=None)
            progress.update(b, completed=7, description="unknown so far")
            progress.stop_task(b)
            c = progress.add_task("not started", start=False, total=2)
            d = progress.add_task("removed", total=8)
            progress.update(d, advance=5)
            progress.remove_task(d)
            e = progress.add_task("again", total=5)
            progress.update(e, completed=5)
            progress.reset(e, total=6)
            progress.update(e, advance=2, total=7)
        """,
    )
    assert figures(run) == [
        ("list", 3, 3, "completed"),
        ("break", 4, 9, "completed"),
        ("advanced", 4, 4, "completed"),
        ("unknown", 7, None, "completed"),
        ("removed", 5, 8, "completed"),
        ("again", 5, 5, "completed"),
        ("again", 2, 7, "completed"),
    ]
    assert run.named("unknown").message == "unknown so far"


def test_loops_in_loops_are_told_apart_before_rich_tells_its_tasks(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        with Progress() as progress:
            for name in progress.track(["DE", "NY", "CA"], description="states", update_period=60):
                for row in progress.track(range(4), description=f"load {name}", update_period=60):
                    look()
                    assert [sub.name for sub in run._subs.values()] == ["states", f"load {name}"]
        """,
    )
    assert [(leaf.name, leaf.complete, leaf.total) for leaf in run.leaves] == [
        ("load DE", 4, 4), ("load NY", 4, 4), ("load CA", 4, 4),
    ]  # fmt: skip


def test_a_task_in_a_task_makes_the_second_level(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        with Progress(auto_refresh=False) as progress:
            for state in progress.track(["DE", "NY"], description="states"):
                for row in progress.track(range(4), description=f"load {state}"): pass
        with Progress(auto_refresh=False) as progress:
            outer = progress.add_task("files", total=3)
            for n in range(3):
                inner = progress.add_task(f"file {n}", total=5)
                progress.update(inner, advance=5)
                progress.remove_task(inner)
                progress.advance(outer)
        """,
    )
    assert figures(run) == [
        ("states", 2, 2, "completed"), ("load DE", 4, 4, "completed"), ("load NY", 4, 4, "completed"),
        ("files", 3, 3, "completed"), ("files 1", 0, None, "completed"), ("file 1", 5, 5, "completed"),
        ("file 2", 5, 5, "completed"),
    ]  # fmt: skip
    assert run.named("states").heading and run.named("files").heading
    assert run.info["total"] == run.done == 5


def test_tasks_that_move_together_stand_beside_each_other(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        with Progress() as progress:
            tasks = [progress.add_task(f"part {n}", total=10) for n in range(3)]
            for _ in range(10):
                for task in tasks:
                    progress.advance(task)
                look()
        """,
    )
    assert figures(run) == [(f"part {n}", 10, 10, "completed") for n in range(3)]


def test_an_exception_fails_what_is_not_done(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        def broken():
            for n in track(range(9), "loop"):
                if n == 4:
                    1 / 0
        def block():
            with Progress() as progress:
                progress.update(progress.add_task("done", total=2), advance=2)
                progress.update(progress.add_task("open", total=2), advance=1)
                raise KeyError("FIPS")
        for wrong in broken, block:
            try:
                wrong()
            except (ZeroDivisionError, KeyError):
                for _ in track(range(1), "in the handler"): pass
        """,
    )
    assert [(name, done, status) for name, done, _, status in figures(run)] == [
        ("loop", 4, "failed"), ("in the handler", 1, "completed"), ("done", 2, "completed"), ("open", 1, "failed"),
        ("in the handler", 1, "completed"),
    ]  # fmt: skip
    assert run.named("open").error == "KeyError: 'FIPS'"


def test_files_that_are_read_count_bytes(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        with statustui.contrib.rich.open(__file__, "rb", description="open") as file:
            file.read(10)
        with Progress() as progress:
            with progress.open(__file__, description="text") as file:
                list(file)
            with progress.wrap_file(io.BytesIO(bytes(5)), total=5, description="wrapped") as file:
                file.read()
        """,
    )
    size = (env / "shown.py").stat().st_size
    assert figures(run) == [
        ("open", 10, size, "completed"), ("text", size, size, "completed"), ("wrapped", 5, 5, "completed"),
    ]  # fmt: skip


def test_one_hook_for_all_or_for_one(env: Path, state_dir: Path) -> None:
    code = """
    import rich.progress
    with statustui.run("hooked") as run:
        with rich.progress.Progress() as progress:
            before = progress.add_task("before", total=3)
            statustui.contrib.rich.hook(progress)
            progress.update(before, advance=2)
            assert isinstance(progress, rich.progress.Progress)
        for _ in rich.progress.track(range(2), "not recorded"): pass
        statustui.contrib.rich.hook()
        statustui.contrib.rich.hook()
        for _ in rich.progress.track(range(4), "all"): pass
        for _ in track(range(5), "ours"): pass
    """
    done = run_script(env / "hooked.py", HEAD + textwrap.dedent(code), env=strict())
    assert (done.returncode, done.stderr) == (0, "")
    found = [(name, done, total) for name, done, total, _ in figures(only_run(state_dir))]
    assert found == [("before", 2, 3), ("all", 4, 4), ("ours", 5, 5)]


def test_output_is_richs_own_and_without_a_run_nothing_is_recorded(env: Path, state_dir: Path) -> None:
    code = """
        import io
        from rich.console import Console
        from {module} import Progress, track
        {begin}
        console = Console(file=io.StringIO(), force_terminal=True, width=60, get_time=lambda: 1.0)
        with Progress(console=console, auto_refresh=False) as progress:
            for _ in progress.track(range(3), description="a"): pass
            task = progress.add_task("b", total=2)
            progress.advance(task)
        for _ in track(range(2), "c", console=console, get_time=lambda: 1.0): pass
        print(ascii(console.file.getvalue()))
    """
    outputs = []
    for module, begin in (
        ("rich.progress", ""),
        ("statustui.contrib.rich", ""),
        ("statustui.contrib.rich", "import statustui; run = statustui.run('x').start()"),
    ):
        done = run_script(env / "out.py", code.format(module=module, begin=begin))
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append(done.stdout.count("100%"))
        assert bool(recorded(state_dir)) == bool(begin)
    assert len(set(outputs)) == 1 and outputs[0] > 0
