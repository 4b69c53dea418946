"""The demo does real work, real failures among it, and says where it recorded it."""

import json

from support.bench import Bench


def test_without_a_terminal_it_waits_prints_the_status_and_ends_with_0(bench: Bench) -> None:
    del bench.env["STATUSTUI_STORE"]
    done = bench.command("demo", "--rounds", "1", timeout=240)
    assert done.returncode == 0, done.stderr
    assert "demo.db" in done.stdout + done.stderr
    assert "Finished" in done.stdout
    bench.env["STATUSTUI_STORE"] = str(bench.home / "s" / "demo" / "demo.db")
    runs = {run["task"]: run for run in bench.runs()}
    assert runs["ANNUAL_DEC_03_check_encodings"]["error_type"] == "UnicodeDecodeError"
    assert runs["DAILY_05_load_settings"]["error_type"] == "json.decoder.JSONDecodeError"
    for task in (
        "DAILY_01_hash_library",
        "DAILY_02_compress_packages",
        "PREREQ_00_index_words",
        "PERIODIC_parse_parallel",
    ):
        assert runs[task]["status"] == "finished", json.dumps(runs[task], indent=1)
        assert runs[task]["overall_percent"] in (None, 100.0)
    assert runs["nightly_compile"]["status"] == "finished"
    assert runs["nightly_compile"]["type"] == "python"
