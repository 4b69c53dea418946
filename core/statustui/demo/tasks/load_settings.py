"""Load the library's data files as JSON: the first one that is none ends it with a real error."""

import json
import sys

import statustui
from statustui.demo.files import everything


def main() -> None:
    """Fails with json.JSONDecodeError: the library's data files are of many kinds, hardly one is JSON."""
    files = [path for path in everything() if path.suffix in {".json", ".cfg", ".txt", ".toml"}]
    if not files:
        sys.exit("no data files beside the standard library")
    with statustui.run("DAILY_05_load_settings", subtasks=1) as run:
        for path in run.track(files, "Load settings", unit="files"):
            print(f"loading {path.name}", flush=True)
            json.loads(path.read_text(encoding="utf-8", errors="replace"))


if __name__ == "__main__":
    main()
