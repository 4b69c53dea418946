"""Ordinary output with numbers in it, that tells nothing of progress: 200 kB of each kind.

What programs print here is real where a program at hand prints it; the rest is made as those programs write it.
"""

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle, islice
from pathlib import Path

SIZE = 200_000


def fill(lines: Iterator[str]) -> bytes:
    """Lines until there are 200 kB."""
    parts, size = [], 0
    for line in lines:
        data = line.encode() + b"\n"
        parts.append(data)
        size += len(data)
        if size >= SIZE:
            break
    return b"".join(parts)


@cache
def _printed(*command: str) -> tuple[str, ...] | None:
    """What a program prints; None where it is missing or has nothing to say."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60)
    lines = done.stdout.splitlines()
    return tuple(lines) or None


def _clock(second: int) -> str:
    return f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"


def _dates(r: random.Random) -> Iterator[str]:
    for n in range(10**6):
        second = n * 7
        stamp = (
            f"2026-11-{second // 86400 % 28 + 1:02}T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
        )
        yield r.choice((
            f"{stamp}.{r.randrange(1000):03}Z INFO  request {n} from 10.0.{r.randrange(256)}.{n % 256}:{443 + n % 9}",
            f"{stamp} DEBUG step_{n % 9}_of_9 module=v1.{n % 20}.{n % 7} took {r.random():.3f}s",
            f"{stamp} WARN  retry {n % 3 + 1}/3 for upstream db{n % 4}: connection reset",
            f"{stamp} INFO  attempt {n % 5 + 1} of 5, next in {2 ** (n % 5)} s",
            f"{stamp} INFO  date range 11/{n % 28 + 1}/2026 to 12/31/2026, ratio {n % 7}/{n % 11 + 1}",
            f"{stamp} INFO  GC pause {r.random():.2f}ms heap {r.randrange(100)}% used, 3/8 regions",
            f"{stamp} INFO  cache hit rate {50 + n % 50}%",
            f"{stamp} INFO  cpu {n % 100}% mem {n % 80}%",
        ))  # fmt: skip


def _apache(r: random.Random) -> Iterator[str]:
    for n in range(10**6):
        status = r.choice((200, 200, 206, 304, 404))
        yield (
            f'192.168.{n % 5}.{r.randrange(255)} - - [22/Nov/2026:{_clock(n)} +0000] '
            f'"GET /tiles/{n % 12}/{n % 40}/{n % 77}.png?p={n % 101}%25 HTTP/1.1" {status} {r.randrange(10**6)} '
            f'"-" "Mozilla/5.0 (X11; Linux x86_64) Chrome/1{n % 10}.0 Safari/537.36"'
        )  # fmt: skip
        if status == 206:
            yield f"Content-Range: bytes {n * 1024}-{n * 1024 + 1023}/146515000"


def _syslog(r: random.Random) -> Iterator[str]:
    for n in range(10**6):
        yield f"Nov 22 {_clock(n)} db1 " + r.choice((
            f"kernel: [{n}.{r.randrange(10**6):06}] eth0: link up, 1000Mbps, 1/2 queues",
            f"systemd[1]: Started Session {n} of User etl.",
            f"sshd[{n % 32768}]: Accepted publickey for etl from 10.1.{n % 200}.3 port {40000 + n % 9999} ssh2",
            f"CRON[{n % 9999}]: (root) CMD (test -x /usr/sbin/anacron || run-parts /etc/cron.daily 5/10)",
            f"smartd[77]: Device: /dev/sda, SMART Usage Attribute: 194 changed from {60 + n % 9} to 61",
            f"thermald: battery {n % 100}% charging", f"postfix: 4 of 7 recipients deferred (queue {n})",
        ))  # fmt: skip


def _tests(r: random.Random) -> Iterator[str]:
    for run in range(10**4):
        for n in range(1, 301):
            yield f"tests/test_x.py::test_{n % 8 + 1}_of_8 PASSED{'':30}[{n * 100 // 300:3}%]"
            if n % 50 == 0:
                yield f"tests/test_x.py {'.' * 50}{'':4}[{n * 100 // 300:3}%]"
        yield f"===== 300 passed in {run}.{r.randrange(100)}s ====="


def _sql(r: random.Random) -> Iterator[str]:
    for n in range(10**6):
        price = f"{n}.{n % 100:02}"
        yield f"INSERT INTO prices VALUES ({n}, '1/{n % 9 + 1}', '{n % 100}% off', '2026-11-{n % 28 + 1:02}', {price});"
        if n % 20 == 0:
            yield f"-- batch of {n % 7}: page {r.randrange(9)}/{r.randrange(1, 9)}, {r.randrange(100)}% are NULL"


def _compiler(r: random.Random) -> Iterator[str]:
    for n in range(10**6):
        yield r.choice((
            f"/usr/src/x-1.{n % 20}/src/mod{n % 50}.c:{r.randrange(900)}:{n % 80}: warning: unused 'a{n}'",
            f"gcc -O2 -DVERSION=\\\"2.{n % 9}/3\\\" -c -o obj/{n}/{n % 77}.o src/{n % 7}.c",
            f"  {r.randrange(900)} |   x = a[{n % 9}] % {n % 13 + 1};", f"note: inlined {n % 5} of {n % 5 + 3} calls",
            f"libtool: link: 1:{n % 9}:0 version-info", f"ld: section .text will be {n % 100}% of the region",
        ))  # fmt: skip


def _coverage(r: random.Random) -> Iterator[str]:
    while True:
        yield "Name                      Stmts   Miss  Cover   Missing"
        for n in range(60):
            share = n * 100 // 59
            yield f"src/pkg/mod{n:02}.py {'':10} {100:5} {100 - share:6} {share:5}%   {n}-{n + 9}, {n * 3}/{n * 4 + 1}"
        yield f"TOTAL {'':20} 6000   3000    {r.randrange(100)}%"


def _shop(r: random.Random) -> Iterator[str]:
    for n in range(10**6):
        yield r.choice((
            f"{10 + n % 80}% off on all {n % 9} of 12 packs!",
            f"Interest {n % 10}.{n % 100:02}% (APR), term {n % 30}/30",
            f"score {n % 11}/10 by user{n}", f"room {n % 40}/40, floor {n % 8} of 8 in building 3",
            f"chapter {n % 20}: 1/2 cup of sugar, 3/4 cup of flour, {n % 100} g",
            f"win {n % 100}% lose {99 - n % 99}%",
            f"ids 100{n}/200{n} 3/8\" bolts, DIN {n}", f"match {n % 5}-{n % 4} after {n % 90}'",
        ))  # fmt: skip


def _load(r: random.Random) -> Iterator[str]:
    for n in range(10**6):
        yield f" {_clock(n * 60)} up {n} days,  2 users,  load average: {r.random():.2f}, 0.{n % 99:02}"
        yield f"disk usage of /data is {n // 40 % 100}%"
        yield f"rank [{n % 4}/4] loss={r.random():.4f} acc {n // 30 % 100}%"
        yield f"[{n % 4}/4] worker says hello {n}"


def _df(r: random.Random) -> Iterator[str]:
    for n in range(10**5):
        yield "Filesystem      Size  Used Avail Use% Mounted on"
        for disk in range(5):
            used = (n + disk * 20) % 101
            yield f"/dev/sd{'abcde'[disk]}1       {n % 90 + 9}G   {disk}G  {n % 9}G  {used}% /mnt/{disk}"


_MADE: dict[str, Callable[[random.Random], Iterator[str]]] = {
    "application log": _dates, "apache": _apache, "syslog": _syslog, "pytest -v": _tests, "SQL": _sql,
    "compiler": _compiler, "coverage": _coverage, "shop": _shop, "load": _load, "df table": _df,
}  # fmt: skip
_RUN: dict[str, tuple[str, ...]] = {
    "df": ("df", "-h"), "ls": ("ls", "-lR", "/usr/share/doc"), "top": ("top", "-b", "-n", "2", "-d", "0.2"),
    "ps": ("ps", "aux"),
    "dpkg -l": ("dpkg", "-l"), "git log": ("git", "-C", str(Path(__file__).parents[2]), "log", "--stat", "-n", "60"),
    "mount": ("mount",), "python -v": (sys.executable, "-c", "import sys, runpy; print(*sys.modules, sep='\\n')"),
    "ip addr": ("ip", "addr"), "vmstat": ("vmstat", "-s"),
}  # fmt: skip
KINDS = (*_MADE, *_RUN)


def ordinary(kind: str) -> bytes | None:
    """200 kB of one kind; None where the program that prints it is missing."""
    if kind in _MADE:
        return fill(_MADE[kind](random.Random(7)))
    lines = _printed(*_RUN[kind])
    return None if lines is None else fill(islice(cycle(lines), 200_000))
