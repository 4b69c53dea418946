"""P10: whatever a program records, no escape of its making reaches the terminal, and nothing crashes.

The test is differential: what our own screens send for harmless text is the allow-list for hostile text.
"""

import re
from pathlib import Path

import pytest

from support.bench import OURS, Bench
from support.hostile import HOSTILE
from support.terminal import Terminal

RECORD = """
import json, pathlib, sys, time
import statustui
texts = json.loads(pathlib.Path(sys.argv[2]).read_text())
for text in texts:
    try:
        about = dict(stage=text, label=text, params={text: text}, tags=[text])
        with statustui.run(text or "empty", subtasks=2, **about) as run:
            run.message = text
            run.metric(text, text)
            run.log(text)
            print(text.encode("utf-8", "replace").decode(), flush=True)
            with run.subtask(text, total=3, unit=text) as sub:
                sub.advance(message=text)
                raise RuntimeError(text)
    except RuntimeError:
        pass
with statustui.run(texts[0], subtasks=2) as run:
    with run.subtask(texts[1], total=3, unit=texts[2]) as sub:
        sub.advance(message=texts[3])
        end = time.monotonic() + 300
        while not pathlib.Path(sys.argv[3]).exists() and time.monotonic() < end:
            time.sleep(0.05)
"""
_SEQUENCE = re.compile(
    r"\x1b(?:\[([?<>=!]?)[0-9;:]*([ -/]*[@-~])|\]([0-9]*)[^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|([PX^_])[^\x1b]*(?:\x1b\\)?|([ -/]*[0-~]))"
)
_NEVER = re.compile(
    "[\u0080-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\u061c\u2028\u2029\U000e0000-\U000e007f]"
)


def shapes(raw: bytes) -> set[tuple[str, ...]]:
    """The kinds of escape sequences in a program's output: introducer, marker, final byte; modes with their number."""
    text = raw.decode("utf-8", "replace")
    found = set()
    for match in _SEQUENCE.finditer(text):
        whole = match.group(0)
        kind = tuple(part or "" for part in match.groups())
        if whole.startswith("\x1b[") and whole[-1] in "hl":
            kind = (whole,)
        found.add(kind)
    rest = _SEQUENCE.sub("", text)
    found |= {("control", hex(ord(c))) for c in rest if (c < " " and c not in "\r\n") or c == "\x7f"}
    return found


def visit(bench: Bench, texts: list[str]) -> tuple[bytes, bytes]:
    """Record *texts*, then look at everything there is; what the monitor sent, and what the commands sent."""
    import json

    listing, gate = bench.home / "texts.json", bench.home / "gate"
    listing.write_text(json.dumps(texts))
    program = bench.start(RECORD, "hostile", str(listing), str(gate))
    everything = _wait_for_all(bench, len(texts))
    said = b""
    ids = [str(run["id"]) for run in everything]
    commands = [["status"], ["runs"], ["runs", "--status", "bad"], ["doctor"]]
    commands += [["show", run] for run in ids] + [["tail", "-n", "50", ids[-1]], ["show", texts[0]]]
    for command in commands:
        with Terminal([*OURS, *command], env=bench.env, cwd=str(bench.home), cols=100, rows=30) as terminal:
            assert terminal.wait(20) in (0, 1, 2), (command, terminal.text)
            assert "Traceback (most recent call last)" not in terminal.text or command[0] in ("show", "tail"), (
                terminal.text
            )
            said += bytes(terminal.raw)
    with Terminal(OURS, env=bench.env, cwd=str(bench.home), cols=120, rows=40) as terminal:
        terminal.wait_for(re.compile(r"(?i)needs you"))
        for keys in (
            "g",
            "j",
            "k",
            "\r",
            "\x1b",
            "l",
            "e",
            "w",
            "q",
            "?",
            "q",
            "s",
            "\x1b",
            "/e\r",
            "\x1b",
            "z",
            "z",
            "a",
            "n",
        ):
            terminal.send(keys)
            terminal.settle(quiet=0.12, timeout=1.5)
        for _ in range(12):
            for keys in ("j", "\r", "l", "q", "x", "n", "r", "n", "q"):
                terminal.send(keys)
                terminal.settle(quiet=0.05, timeout=0.8)
            if terminal.pump(0) < 0:
                break
        gate.touch()
        terminal.settle()
        terminal.send("\x03")
        assert terminal.wait(8) == 0
        shown = bytes(terminal.raw)
    program.wait(20)
    return shown, said


def _wait_for_all(bench: Bench, n: int) -> list[dict[str, object]]:
    import time

    end = time.monotonic() + 60
    runs: list[dict[str, object]] = []
    while time.monotonic() < end:
        runs = bench.runs("--limit", "1000")
        if len(runs) >= n + 1 and sum(run["status"] == "failed" for run in runs) >= n:
            return runs
        time.sleep(0.2)
    raise AssertionError(f"{len(runs)} of {n + 1} runs arrived")


@pytest.mark.slow
def test_no_foreign_escape_reaches_the_terminal(bench: Bench, env: Path) -> None:
    assert len(HOSTILE) >= 60
    places = [Bench(env / name) for name in ("plain", "foreign")]
    for place in places:
        place.home.mkdir()
        place.env["STATUSTUI_STATE_DIR"] = str(env / "s" / place.home.name)
    try:
        plain_screen, plain_text = visit(places[0], [f"harmless text {i}" for i in range(len(HOSTILE))])
        screen, text = visit(places[1], [str(one) for one in HOSTILE])
    finally:
        for place in places:
            place.close()
    assert shapes(screen) <= shapes(plain_screen), shapes(screen) - shapes(plain_screen)
    assert shapes(text) <= shapes(plain_text), shapes(text) - shapes(plain_text)
    for raw in (screen, text):
        found = set(_NEVER.findall(raw.decode("utf-8", "replace")))
        assert not found, found
