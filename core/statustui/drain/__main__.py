"""``python -m statustui.drain SPOOL``: the drainer of one spool directory."""

import sys

from statustui.drain.service import serve

if __name__ == "__main__":
    sys.exit(serve(sys.argv[1]) if len(sys.argv) == 2 else 2)
