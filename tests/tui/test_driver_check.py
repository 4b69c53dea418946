"""Where the monitor starts, with which signs, and how it copies."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from statustui_tui.terminal import check
from statustui_tui.terminal.clipboard import osc52
from support.terminal import Terminal

ROOT = Path(__file__).parents[2]
ASK = f"import sys; sys.path[:0] = [{str(ROOT / 'tui')!r}, {str(ROOT / 'core')!r}]\n"
ASK += "from statustui_tui.terminal import check; print('answer', check.refuse())"


def test_it_is_refused_where_there_is_no_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert "statustui status" in done.stdout


@pytest.mark.parametrize(("term", "said"), [("xterm-256color", "None"), ("dumb", "TERM=dumb"), ("", "TERM is not set")])
def test_it_is_refused_where_the_terminal_can_show_nothing(term: str, said: str) -> None:
    with Terminal([sys.executable, "-c", ASK], term=term) as terminal:
        terminal.wait_for("answer")
        assert f"answer {said}" in terminal.text
        terminal.wait(5)


@pytest.mark.parametrize(
    ("environ", "ascii"),
    [
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "de_DE.utf8"}, False),
        ({"LANG": "C"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),  # as the interpreter leaves it
        ({"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, False),
        ({"LANG": "C.UTF-8", "LC_ALL": "POSIX"}, True),
        ({"LANG": "C.UTF-8", "STATUSTUI_ASCII": "1"}, True),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, True),
        ({"LANG": "C.UTF-8", "TERM": "linux", "STATUSTUI_ASCII": "0"}, False),
    ],
)
def test_signs_are_ascii_where_the_encoding_is_not_utf_8(environ: dict[str, str], ascii: bool) -> None:
    assert check.ascii_only(environ) is ascii


def test_a_copy_is_one_harmless_sequence() -> None:
    text = "a\x1b]0;owned\x07\n日本"
    sequence = osc52(text, {})
    assert sequence.startswith("\x1b]52;c;")
    assert base64.b64decode(sequence[7:-1]).decode() == text
    assert osc52("x", {"TMUX": "/tmp/tmux"}).endswith("\x1b\\")
    assert len(osc52("x" * 10_000_000, {})) < 110_000
