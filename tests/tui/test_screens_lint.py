"""No text from outside reaches a widget as markup: a check of the monitor's own source."""

import ast
from pathlib import Path

import statustui_tui

ROOT = Path(statustui_tui.__file__).parent
MARKUP = {"Static", "Label", "Button", "notify", "Markdown", "Pretty", "from_markup", "Toast"}
TITLES = {"title", "sub_title", "border_title", "border_subtitle", "tooltip"}


def problems(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in MARKUP:
                found.append(f"{place} {name}() reads markup")
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in TITLES:
                    found.append(f"{place} {target.attr} reads markup")
    return found


def test_no_widget_that_reads_markup_is_used() -> None:
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 20
    assert [problem for path in files for problem in problems(path)] == []


def test_the_check_would_find_one(tmp_path: Path) -> None:
    bad = ROOT / "x.py"
    code = "Static(f'{run.task}')\nself.notify(text)\nself.border_title = run.task\n"
    tree = tmp_path / "x.py"
    tree.write_text(code)
    original = globals()["ROOT"]
    globals()["ROOT"] = tmp_path
    try:
        assert len(problems(tree)) == 3
    finally:
        globals()["ROOT"] = original
    assert not bad.exists()


def test_store_text_in_content_is_cleaned() -> None:
    """Every attribute of a run that holds text goes through `render` where a `Content` is made of it."""
    texts = {"task", "error_message", "error_type", "lost_reason", "overall_message", "subtask_name",
             "subtask_message", "error_subtask_name", "asked_by", "actor", "answer", "command", "cwd"}  # fmt: skip
    found = []
    for path in sorted((ROOT / "screens").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("assemble", "styled")
            ):
                found += [
                    f"{path.name}:{child.lineno} {child.attr}"
                    for child in unwrapped(node)
                    if isinstance(child, ast.Attribute) and child.attr in texts
                ]
    assert found == []


def unwrapped(call: ast.Call) -> list[ast.AST]:
    """Parts of a call that are not inside a call of `render`."""
    out: list[ast.AST] = []
    todo: list[ast.AST] = [*call.args]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Call):
            function = node.func
            owner = function.value if isinstance(function, ast.Attribute) else None
            if isinstance(owner, ast.Name) and owner.id == "render":
                continue
        if isinstance(node, ast.IfExp):
            todo += [node.body, node.orelse]  # the test of a condition is not shown
            continue
        out.append(node)
        todo += list(ast.iter_child_nodes(node))
    return out
