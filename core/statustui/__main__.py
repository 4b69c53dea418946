"""``python -m statustui``: the same as the ``statustui`` command; its ``run`` also takes a script or ``-m MODULE``."""

import sys

from statustui.cli import main

if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        from statustui.control.program import as_command

        sys.argv[2:] = as_command(sys.argv[2:])
    raise SystemExit(main())
