"""``python -m statustui``: the same as the ``statustui`` command."""

from statustui.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
