"""A reader takes every whole line and names every other one, whatever stands in the files."""

import ast
import json
import os
import re
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statustui.journal.files import MAX_LINE, SPAN, prepare_spool
from statustui.journal.reader import JournalReader, check, list_journals, remove_journal, understand
from statustui.journal.writer import Writer
from statustui.model import fold, item_fold
from support.journals import CORE, errors, lines, program, records

JOURNAL = "01900000-0000-7000-8000-000000000000"
FIRST = b'\n{"k":"writer","t":1.0,"m":1.0,"v":1,"journal":"01900000-0000-7000-8000-000000000000","pid":1}'


def fact(number: int) -> bytes:
    return b'\n{"k":"event","t":1.5,"m":2.5,"i":%d}' % number


@pytest.fixture
def spool(state_dir: Path) -> Path:
    path = state_dir / "spool"
    prepare_spool(str(path), "sqlite:////x")
    return path


def put(spool: Path, data: bytes, number: int = 0, journal: str = JOURNAL) -> Path:
    path = spool / f"{journal}.{number}.jsonl"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def seen(spool: Path) -> list[object]:
    return [record["i"] for record in records(spool, "event")]


def test_a_line_cut_at_any_byte_spoils_only_itself(spool: Path) -> None:
    line = fact(1)
    for cut in range(1, len(line)):
        put(spool, FIRST + fact(0) + line[:cut] + fact(2))
        assert seen(spool) == [0, 2]
        assert len(errors(spool)) == (1 if cut > 1 else 0)


def test_a_last_line_that_is_not_whole_is_waited_for_while_the_writer_lives(spool: Path) -> None:
    line = fact(1)
    reader = JournalReader(str(spool), JOURNAL)
    for cut in range(2, len(line)):
        path = put(spool, FIRST + line[:cut])
        (first,) = reader.read(0)
        assert reader.pending
        assert reader.read(first.next_offset) == []
        with path.open("ab") as file:
            file.write(line[cut:])
        (rest,) = reader.read(first.next_offset)
        assert not reader.pending
        assert rest.record is not None
        assert rest.record["i"] == 1
        assert rest.offset == len(FIRST) + 1
        assert rest.next_offset == len(FIRST) + len(line)


def test_a_last_line_that_is_not_whole_is_torn_when_the_writer_is_gone(spool: Path) -> None:
    put(spool, FIRST + fact(0) + b'\n{"k":"event"')
    found = JournalReader(str(spool), JOURNAL).read(0, final=True)
    assert [line.error for line in found] == [None, None, "torn or not JSON"]
    assert found[-1].raw == b'{"k":"event"'


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.integers(0, 99), st.binary(max_size=60)), max_size=12), st.integers(1, 5))
def test_random_garbage_between_the_lines_costs_no_line(spool: Path, parts: list[int | bytes], batch: int) -> None:
    data = FIRST
    for part in parts:
        data += fact(part) if isinstance(part, int) else b"\n" + part
    put(spool, data)
    found = lines(spool)
    wanted = [part for part in parts if isinstance(part, int)]
    assert [line.record["i"] for line in found if line.record and line.record["k"] == "event"] == wanted
    offsets = [line.offset for line in found]
    assert offsets == sorted(set(offsets))
    assert all(a.next_offset <= b.offset for a, b in pairwise(found))
    for line in found:
        if line.record is not None:
            assert json.loads(data[line.offset : line.next_offset]) == line.record
    # Whatever line the reading is taken up after, the rest is the same.
    taken = max(1, len(found) // batch)
    assert JournalReader(str(spool), JOURNAL).read(found[taken - 1].next_offset, final=True) == found[taken:]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\0" * 500, "filled with NUL bytes"),
        (b"\0\xff\x80binary", "binary, not JSON"),
        (b"hello", "not a JSON object"),
        (b"[1,2]", "not a JSON object"),
        (b'{"k":"event","message":"\xff"}', "not UTF-8"),
        (b'{"k":"event",}', "not JSON"),
        (b'{"k":"event","value":NaN}', "not JSON"),
        (b'{"k":"event"} trailing', "torn or not JSON"),
        (b'{"t":1}', "no kind (k)"),
        (b'{"k":5}', "no kind (k)"),
        (b'{"k":""}', "no kind (k)"),
        (b'{"k":"event","t":"now"}', "t is not a number"),
        (b'{"k":"event","m":true}', "m is not a number"),
        (b'{"k":"event","run":7}', "run is not a run id"),
        (b'{"k":"event","run":"' + b"x" * 300 + b'"}', "run is not a run id"),
        (b'{"k":"event","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
        (b'{"k":"event","x":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"k":"event","x":"' + b"x" * MAX_LINE + b'"}', f"longer than {MAX_LINE} bytes ({MAX_LINE + 20})"),
    ],
)
def test_a_line_that_is_not_understood_is_named_and_reading_goes_on(spool: Path, line: bytes, reason: str) -> None:
    put(spool, FIRST + fact(0) + b"\n" + line + fact(1))
    assert seen(spool) == [0, 1]
    assert errors(spool) == [reason]
    reader = JournalReader(str(spool), JOURNAL)
    assert len([one for one in reader.read(0) if one.error]) == reader.skipped == 1


def test_a_line_of_many_megabytes_is_passed_over_in_little_memory(spool: Path) -> None:
    path = put(spool, FIRST + fact(0) + b"\n{")
    with path.open("ab") as file:
        for _ in range(40):
            file.write(b"x" * 1_000_000)
        file.write(fact(1))
    assert seen(spool) == [0, 1]
    assert errors(spool) == [f"longer than {MAX_LINE} bytes (40000001)"]
    bad = next(line for line in lines(spool) if line.error)
    assert len(bad.raw) <= 4096


def test_values_that_no_store_takes_do_not_come_through_a_foreign_writer_either(spool: Path) -> None:
    put(spool, FIRST + b'\n{"k":"event","i":0,"a":"x\\u0000y","b":"\\uDC80","c":1e999,"d":99999999999999999999}')
    (record,) = records(spool, "event")
    assert record == {"k": "event", "i": 0, "a": "x\u2400y", "b": "\\x80", "c": None, "d": 1e20}


def test_what_a_crash_of_the_machine_leaves_is_passed_over(spool: Path) -> None:
    put(spool, FIRST + fact(0) + b"\0" * 70_000 + fact(1))
    assert seen(spool) == [1]
    put(spool, FIRST + fact(0) + b"\n" + b"\0" * 70_000 + fact(1))
    assert seen(spool) == [0, 1]


def test_lines_of_other_writers_may_end_as_other_systems_have_it(spool: Path) -> None:
    put(spool, FIRST.strip() + b'\r\n{"k":"event","i":0}\r\n\r\n   {"k":"event","i":1}\r\n')
    assert seen(spool) == [0, 1]
    assert errors(spool) == []


def test_a_newer_version_is_left_alone_and_said(spool: Path) -> None:
    put(spool, FIRST.replace(b'"v":1', b'"v":2') + fact(0))
    reader = JournalReader(str(spool), JOURNAL)
    assert reader.read(0) == []
    assert reader.newer == 2
    (problem,) = check(str(spool / f"{JOURNAL}.0.jsonl"))
    assert problem.reason == "version 2, this program knows 1"


def test_a_segment_that_is_not_sealed_is_not_left_while_the_writer_lives(spool: Path) -> None:
    first = put(spool, FIRST + fact(0))
    put(spool, FIRST + fact(2), 1)
    reader = JournalReader(str(spool), JOURNAL)
    found = reader.read(0)
    assert reader.pending
    with first.open("ab") as file:
        file.write(fact(1))  # a slow thread
    first.chmod(0o400)
    found += reader.read(found[-1].next_offset)
    assert [line.record["i"] for line in found if line.record and "i" in line.record] == [0, 1, 2]
    assert found[-1].offset == SPAN + len(FIRST) + 1


def test_when_the_writer_is_gone_no_seal_is_waited_for(spool: Path) -> None:
    put(spool, FIRST + fact(0) + b'\n{"torn')
    put(spool, FIRST + fact(1), 1)
    put(spool, FIRST + fact(2), 2)
    assert seen(spool) == [0, 1, 2]
    assert errors(spool) == ["torn or not JSON"]


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_only_regular_files_are_read(spool: Path, env: Path, kind: str) -> None:
    put(spool, FIRST + fact(0))
    path = spool / f"{JOURNAL}.1.jsonl"
    if kind == "link":
        (env / "secret").write_bytes(fact(9))
        path.symlink_to(env / "secret")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OSError, match="not a regular file"):
        JournalReader(str(spool), JOURNAL).read(SPAN, final=True)
    assert understand(b"{}")[1] == "no kind (k)"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_files_of_other_users_are_not_read(spool: Path) -> None:
    path = put(spool, FIRST + fact(0))
    os.chown(path, 4242, 4242)
    with pytest.raises(OSError, match="another user"):
        JournalReader(str(spool), JOURNAL).read(0)


def test_journals_are_listed_by_age_and_other_files_are_not(spool: Path) -> None:
    for name in ("01b.0.jsonl", "01a.0.jsonl", "01a.1.jsonl", "x.jsonl", ".0.jsonl", "01c.01.jsonl", "01d.0.jsonl~"):
        (spool / name).write_bytes(FIRST)
    assert list_journals(str(spool)) == ["01a", "01b"]
    assert list_journals(str(spool / "nowhere")) == []


def test_a_removed_journal_leaves_nothing(spool: Path) -> None:
    writer = Writer(str(spool))
    writer.fact("event")
    writer.slot({})
    writer.counter("r", 1)
    assert writer.journal is not None
    writer.close()
    remove_journal(str(spool), list_journals(str(spool))[0])
    assert [path.name for path in spool.iterdir()] == ["store.url"]


def test_a_check_names_line_and_reason(spool: Path) -> None:
    path = put(spool, FIRST + fact(0) + b"\nnonsense" + fact(1) + b"\n" + b"x" * 300_000 + b"\n" + b'{"k"')
    assert [(problem.line, problem.reason) for problem in check(str(path))] == [
        (4, "not a JSON object"),
        (6, f"longer than {MAX_LINE} bytes (300001)"),
        (7, "torn or not JSON"),
    ]
    problem = next(check(str(path)))
    assert path.read_bytes()[problem.offset :].startswith(b"nonsense")
    assert [p.reason for p in check(str(put(spool, fact(0), 5)))] == ["the first line is no writer line"]


def test_reading_beside_a_writer_at_full_speed_gives_each_line_once(spool: Path) -> None:
    process = subprocess.Popen(
        program(
            """
            from statustui.journal.writer import Writer
            writer = Writer(sys.argv[1], segment_bytes=200_000)
            for i in range(8000): writer.fact("event", i=i, message="x" * (i * 31 % 400))
            writer.close()
            """,
            spool,
        )
    )
    found: list[object] = []
    try:
        deadline = time.monotonic() + 60
        reader, offset, closed = None, 0, False
        while not closed:
            assert time.monotonic() < deadline
            if reader is None:
                names = list_journals(str(spool))
                reader = JournalReader(str(spool), names[0]) if names else None
                continue
            for line in reader.read(offset):
                assert line.record is not None, line
                found += [line.record["i"]] if line.record["k"] == "event" else []
                closed = line.record["k"] == "close"
                offset = line.next_offset
            reader.drop_applied(offset)
    finally:
        process.wait(60)
    assert found == list(range(8000))


def test_the_examples_of_the_format_are_records(spool: Path) -> None:
    text = (CORE / "statustui" / "journal" / "FORMAT.md").read_text()
    examples = text.split("An example of each:\n\n```\n")[1].split("\n```")[0]
    put(spool, b"\n" + examples.encode())
    assert errors(spool) == []
    kinds = {str(record["k"]) for record in records(spool)}
    table = text.split("## Kinds")[1].split("An example")[0]
    assert kinds == {row.split("`")[1] for row in table.splitlines() if row.startswith("| `")} - {"k"}


@pytest.mark.parametrize("module", ["fold", "fold_sub", "item_fold", "item_ends", "named"])
def test_the_format_tells_of_every_field_that_is_read(module: str) -> None:
    text = (CORE / "statustui" / "journal" / "FORMAT.md").read_text()
    missing = {name for name in read_fields(CORE / "statustui" / "model" / f"{module}.py")
               if not re.search(rf"[`\"]{re.escape(name)}[`\"]", text)}  # fmt: skip
    assert not missing


def test_the_format_tells_of_every_kind_that_is_understood() -> None:
    text = (CORE / "statustui" / "journal" / "FORMAT.md").read_text()
    told = set(re.findall(r"^\| `([a-z.]+)` \|", text, re.M))
    assert told >= set(fold._HANDLERS) | set(item_fold.KINDS) | {"pipeline", "writer", "close", "dropped"}


def read_fields(path: Path) -> set[str]:
    """Fields of records (and of slots) that a module takes by their names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="record" | "values"), attr="get"), args=[key, *_]):
                found.add(key)
            case ast.Subscript(value=ast.Name(id="record" | "values"), slice=key):
                found.add(key)
            case ast.Compare(left=key, comparators=[ast.Name(id="record" | "values")]):
                found.add(key)
    return {str(key.value) for key in found if isinstance(key, ast.Constant)}
