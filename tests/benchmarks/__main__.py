"""One command for all benchmarks: ``python tests/benchmarks [group …]`` prints one table."""

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.harness import Line, table

GROUPS = (
    "recording",
    "hooks",
    "commands",
    "store",
    "drainer",
    "adopted",
    "items",
    "imports",
    "monitor",
    "looking",
    "output",
    "r",
)


def main() -> int:
    """Run the named groups (default: all) and print their lines; 1 when a budget was missed."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="which (default: all)")
    chosen = parser.parse_args().groups or GROUPS
    lines: list[Line] = []
    for group in chosen:
        print(f"… {group}", file=sys.stderr, flush=True)
        module = __import__(f"benchmarks.{group}", fromlist=["lines"])
        lines += module.lines()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"Measured on {datetime.now(UTC):%Y-%m-%d}, {machine}.\n\n{table(lines)}")
    return 1 if any(line.ok is False for line in lines) else 0


if __name__ == "__main__":
    raise SystemExit(main())
