"""Parse the standard library in two worker processes whose counts add up on one bar."""

import ast
import multiprocessing
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import statustui
from statustui.demo.files import packages


def parse(path: Path, sub: statustui.Subtask) -> Counter[str]:
    """Kinds of syntax nodes in one file, counted in a worker process."""
    tree = ast.parse(path.read_bytes())
    kinds = Counter(type(node).__name__ for node in ast.walk(tree))
    sub.advance(message=path.name)
    return kinds


def main(rounds: int) -> None:
    """One subtask a package; the handle of the subtask goes to the workers as it is."""
    groups = packages(4 + 3 * rounds)
    total: Counter[str] = Counter()
    with (
        statustui.run("PERIODIC_parse_parallel", subtasks=len(groups), params={"workers": 2}) as run,
        multiprocessing.get_context("spawn").Pool(2) as pool,
    ):
        run.subtasks({f"Parse {name}": len(files) for name, files in groups})
        for name, files in groups:
            with run.subtask(f"Parse {name}", total=len(files), unit="files") as sub:
                for kinds in pool.imap_unordered(partial(parse, sub=sub), files):
                    total.update(kinds)
            print(f"{name}: {total.total():,} nodes so far", flush=True)
        run.metric("nodes", total.total())


if __name__ == "__main__":
    main(int(sys.argv[1]))
