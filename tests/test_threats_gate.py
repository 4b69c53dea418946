"""What the source must not hold: ways from data to code, to a shell, into SQL or past the one cleaning function."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted([*(ROOT / "core" / "statustui").rglob("*.py"), *(ROOT / "tui" / "statustui_tui").rglob("*.py")])
_MODULES = {"pickle", "marshal", "shelve", "dill", "yaml", "jsonpickle", "commands", "popen2"}
_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "importlib.import_module", "subprocess.getoutput",
    "subprocess.getstatusoutput", "os.killpg", "os.kill", "tempfile.mktemp",
}  # fmt: skip
_SQL = {"execute", "exec_driver_sql", "executescript", "executemany", "text", "literal_column", "DDL"}
# Each with its reason: what is formatted in is a constant or a number of ours.
_ALLOWED_SQL = {
    "PRAGMA application_id={}", "PRAGMA user_version={}", "PRAGMA busy_timeout={}", "CREATE SCHEMA {}",
    "DROP VIEW IF EXISTS {}", "CREATE VIEW {} AS {}",
    # A view that a person names: quoted by the dialect, as are the names of its columns.
    "CREATE VIEW {} AS {}{}", "DROP VIEW {}",
}  # fmt: skip
# Where signals are sent, and to whom: the wrapper's own child and itself, processes that a pidfd holds.
_SIGNALLERS = {"control/job.py", "control/wrapper.py", "control/helper.py", "drain/cancel.py", "process/pidfd.py",
    "control/signals.py", "control/terminal.py", "control/spawn.py",
    # Itself, its own child, or the process that the kernel names as holder of a lock.
    "cli/drain_command.py", "cli/calls.py", "drain/failpoint.py", "journal/spawn.py", "terminal/driver.py"}  # fmt: skip
_STATEMENT = re.compile(r"(?i)\s*[frb]*['\"]*\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|WITH)\b")
# Which print only what the person who calls has typed.
_PRINTERS = {"output.py", "__init__.py", "demo_command.py", "calls.py"}
# Runs the script that the person who calls has named, as Python would, and imports hooks of our own.
_RUNS_SCRIPTS = "contrib/script.py"


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def inside(path: Path) -> str:
    return "/".join(path.relative_to(ROOT).parts[2:])


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            yield path, node


def formatted(node: ast.expr) -> str | None:
    """The shape of a text that is put together at run time; None for anything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
        sides = (node.left, node.right)
        if any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in sides):
            return ast.unparse(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return ast.unparse(node)
    return None


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) > 150


def test_no_way_from_data_to_code() -> None:
    found = []
    for path, node in nodes():
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"{where(path, node)} imports {name}" for name in names if name.partition(".")[0] in _MODULES]
        elif isinstance(node, ast.Call):
            name = name_of(node.func)
            allowed = (name in ("os.kill", "os.killpg") and inside(path) in _SIGNALLERS) or (
                name == "importlib.import_module" and all(isinstance(one, ast.Constant) for one in node.args)
            )
            # Names of our own, from a table in the same file.
            allowed = allowed or (name == "__import__" and inside(path) == "__init__.py")
            allowed = allowed or (name in ("exec", "compile", "__import__") and inside(path) == _RUNS_SCRIPTS)
            if name in _CALLS and not allowed:
                found.append(f"{where(path, node)} calls {name}")
            for keyword in node.keywords:
                if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value):
                    found.append(f"{where(path, node)} has shell=")
    assert not found, "\n".join(found)


def test_no_sql_is_put_together_from_values() -> None:
    found = []
    for path, node in nodes():
        if isinstance(node, ast.Call) and node.args and name_of(node.func).rpartition(".")[2] in _SQL:
            shape = formatted(node.args[0])
            known = shape in _ALLOWED_SQL or "/migrations/" in str(path)
            if shape is not None and _STATEMENT.match(shape) and not known:
                found.append(f"{where(path, node)}: {shape}")
    assert not found, "\n".join(found)


def test_no_file_of_sqlite_is_opened_by_ourselves() -> None:
    found = []
    for path, node in nodes():
        if isinstance(node, ast.Call) and name_of(node.func) in ("open", "os.open", "io.open"):
            words = ast.unparse(node)
            if "-shm" in words or "-wal" in words or "-journal" in words:
                found.append(where(path, node))
    assert not found, "closing any descriptor of it frees SQLite's locks\n" + "\n".join(found)


def test_only_the_output_of_the_command_line_prints() -> None:
    found = []
    for path, node in nodes():
        if "/cli/" in str(path) and path.name not in _PRINTERS and isinstance(node, ast.Call):
            name = name_of(node.func)
            if name in ("print", "sys.stdout.write", "click.echo", "click.secho", "sys.stdout.buffer.write"):
                found.append(f"{where(path, node)} calls {name}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ["notify", "Static", "Label", "add_row"])
def test_no_widget_gets_text_that_is_put_together(name: str) -> None:
    found = []
    for path, node in nodes():
        if "statustui_tui" not in str(path) or not isinstance(node, ast.Call):
            continue
        plain = any(k.arg == "markup" and getattr(k.value, "value", True) is False for k in node.keywords)
        if name_of(node.func).rpartition(".")[2] == name and any(map(formatted, node.args)) and not plain:
            found.append(where(path, node))
    assert not found, "\n".join(found)
