"""Read every file of the library as UTF-8, as a careless loader would: byte code ends it with a real error."""

import statustui
from statustui.demo.files import everything


def main() -> None:
    """Fails with UnicodeDecodeError at the first file that is no text; nothing of it is staged."""
    files = everything()
    with statustui.run("ANNUAL_DEC_03_check_encodings", subtasks=2) as run:
        text = [path for path in files if path.suffix in {".py", ".txt"}]
        other = [path for path in files if path.suffix not in {".py", ".txt"}]
        lines = 0
        for path in run.track(text, "Sources and notes", unit="files"):
            lines += path.read_bytes().count(b"\n")
        print(f"{lines:,} lines", flush=True)
        with run.subtask("Everything else", total=len(other), unit="files") as sub:
            for path in other:
                path.read_text(encoding="utf-8")
                sub.advance(message=path.name)


if __name__ == "__main__":
    main()
