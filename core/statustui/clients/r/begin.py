"""Begins the journal and the run of an R program, which appends the rest itself. Called by the R package."""

import os
import sys

from statustui.clients.shell import init
from statustui.errors import StatustuiError


class Program(init.Script):
    """An R process, as it tells of itself."""

    def __init__(self, pid: int, script: str, task: str) -> None:
        super().__init__(pid)
        words = self.argv
        self.path = os.path.join(self.cwd or "/", script) if script else None
        self.args = words[words.index("--args") + 1 :] if "--args" in words else []
        self.interactive = False
        self._task = task

    @property
    def task(self) -> str:
        """The name that it was given, else its script's."""
        if self._task:
            return self._task
        return super().task if self.path else "R"


def main(argv: list[str]) -> int:
    """Print what the R process must know, one ``name=value`` a line; status 1 where nothing is recorded.

    Args:
        argv: pid, script, task, stage and total; texts that are not known are empty.
    """
    pid, script, task, stage, total = (argv + [""] * 5)[:5]
    if os.environ.get("STATUSTUI_DISABLE", "") not in ("", "0"):
        return 0
    more: dict[str, object] = {"type": "R"}
    if stage:
        more["stage"] = stage
    if total.isdigit():
        more["total"] = int(total)
    try:
        begun = init.begin(Program(int(pid), script, task), lang="R", more=more)
        fd = os.open(begun.files[0], os.O_WRONLY | os.O_APPEND)
        try:
            for line in begun.lines:
                os.write(fd, f"\n{line}\n".encode("ascii"))
        finally:
            os.close(fd)
    except (StatustuiError, OSError, ValueError) as error:
        sys.stderr.write(f"statustui: not recorded: {error}\n")
        return 1
    told = {**begun.values, "writer": begun.lines[0], **begun.exports}
    sys.stdout.write("".join(f"{name}={value}\n" for name, value in told.items() if "\n" not in value))
    return 0
