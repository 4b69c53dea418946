"""``statustui event``, ``progress`` and ``subtask``: one line for the run of the surroundings, by any program.

Answered before click is imported. They never fail a script: outside a run, with a value that is none and on a full disk
there is one line on stderr, and the exit status is 0. Only a call that could never work (an unknown option, nothing to
say) is a usage error, 2.
"""

import os
import sys

from statustui.errors import StatustuiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable
    from typing import Any

    from statustui.config import Settings
    from statustui.record.join import Owner

OK, USAGE = 0, 2
_MOST = 1 << 53
_TEXT = 4_096
_MESSAGE = 60_000
_LEVELS = {"info": "log", "log": "log", "warning": "warning", "warn": "warning", "error": "error"}
_OURS = ("started", "ended", "retry", "cancel", "ack", "mark", "refused")

HELP = {
    "event": """Usage: statustui event [--level info|warning|error | --kind WORD] [--detail TEXT] MESSAGE…

Note an event in the story of the run that this is started in. MESSAGE "-" reads it from stdin.

  --level LEVEL   info (default), warning or error
  --kind WORD     a kind of your own
  --detail TEXT   more, for the page of the run

Any program can call it: a make recipe, perl, find -exec. Outside a run it says so and does nothing; it never fails a
script (exit status 0; 2 only for an unknown option or no message).

Example: statustui event --level warning "3 files were empty"
""",
    "progress": """Usage: statustui progress [+N | N[/M] | P%] [--total M] [--unit U] [--message TEXT] [--subtask NAME]

Say how far the run is that this is started in. +N adds to what others counted, so that it adds up exactly however many
processes call at once (xargs -P, make -j); N sets what was counted by these calls.

  --total M        how many there are in all
  --unit U         what is counted (files, rows)
  --message TEXT   what is being done
  --subtask NAME   of this subtask; else the one that was begun last and is open, else one called after the unit

A percent or message without any open subtask is that of the whole run. Outside a run it says so and does nothing; it
never fails a script (exit status 0; 2 only for an unknown option or nothing to say).

Example: find . -name '*.png' -print0 | xargs -0 -P8 -I{} sh -c 'optipng -q {}; statustui progress +1 --unit files'
""",
    "subtask": """Usage: statustui subtask NAME [--total N] [--unit U] [--done | --failed TEXT | --skipped] [-- CMD…]

Begin a subtask of the run that this is started in, or end the one of that name. Many processes may begin the same.
With CMD it is begun, CMD is run unchanged, and its end is that of the subtask; the exit status is CMD's.

  --total N        items in it (counted by statustui progress)
  --unit U         what is counted
  --weight W       its share of the run beside the others (default 1)
  --message TEXT   what is being done, or how it ended
  --parent NAME    the heading that it stands under
  --heading        it only contains others
  --planned        it will come later
  --of N           the run has N subtasks in all
  --done           it is completed
  --failed TEXT    it failed, and why
  --skipped        there was nothing to do

Outside a run it says so and does nothing else; it never fails a script (exit status 0, that of CMD where there is one;
2 only for an unknown option or no name).

Example: statustui subtask "load DE" --total 56 --unit counties; …; statustui subtask "load DE" --done
""",
}
_VALUED = {
    "event": ("--level", "--kind", "--detail"),
    "progress": ("--total", "--unit", "--message", "--subtask"),
    "subtask": ("--total", "--unit", "--weight", "--message", "--parent", "--of", "--failed"),
}
_FLAGS: dict[str, tuple[str, ...]] = {
    "event": (),
    "progress": (),
    "subtask": ("--heading", "--planned", "--done", "--skipped"),
}


class Misuse(Exception):
    """A call that could never work; the message says why in one line."""


class BadValue(Exception):
    """A value that is none; the message says what is wanted."""


def main(name: str, words: list[str]) -> int:
    """Answer ``statustui event``, ``progress`` or ``subtask``.

    Args:
        name: which of them.
        words: the arguments behind it.

    Returns:
        The exit status.
    """
    command = words[words.index("--") + 1 :] if name == "subtask" and "--" in words else []
    try:
        if words[:1] in (["--help"], ["-h"]):
            if sys.stdout is not None:
                sys.stdout.write(HELP[name])
            return OK
        given, options = parse(name, words[: words.index("--")] if command else words)
        _check(name, given, options, command)
    except Misuse as error:
        _complain(name, f"{error} Try 'statustui {name} --help'.")
        return USAGE
    caller = _caller(name)
    if command:
        return _around(caller, given, options, command)
    if caller is not None:
        caller.say(lambda: _MAKERS[name](given, options, caller))
    return OK


def parse(name: str, words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Split the arguments into words and options; what has blanks in it is a text, however it begins.

    Raises:
        Misuse: an option is unknown or lacks its value.
    """
    given: list[str] = []
    options: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if word == "--":
            given += rest
            break
        if not word.startswith("--") or any(c.isspace() for c in option):
            given.append(word)
        elif option in _FLAGS[name] and not equals:
            options[option[2:]] = ""
        elif option in _VALUED[name]:
            if not equals:
                if not rest:
                    raise Misuse(f"{option} needs a value.")
                value = rest.pop(0)
            options[option[2:]] = value
        else:
            raise Misuse(f"unknown option {option[:60]}.")
    return given, options


def _check(name: str, given: list[str], options: dict[str, str], command: list[str]) -> None:
    if name == "progress":
        if len(given) > 1:
            raise Misuse("one count at a time: 12, +1, 12/56 or 45%.")
        if not given and not options.keys() - {"subtask"}:
            raise Misuse("nothing to say.")
        return
    if not given:
        raise Misuse("no message." if name == "event" else "no name.")
    if name == "subtask":
        ends = [option for option in ("done", "failed", "skipped", "planned", "heading") if option in options]
        if len(ends) > 1 or (command and ends):
            raise Misuse(f"--{ends[0]} does not go with {'a command' if command else '--' + ends[-1]}.")


class Caller:
    """Who speaks: the run of the surroundings, its journal of calls, and what is a secret."""

    def __init__(self, name: str, owner: "Owner", settings: "Settings") -> None:
        self.name = name
        self.owner = owner
        self._settings = settings
        self._patterns: list[re.Pattern[str]] | None = None

    def say(self, make: "Callable[[], list[tuple[str, dict[str, Any]]]]") -> None:
        """Append the records that *make* gives; whatever is wrong becomes one line on stderr."""
        from statustui.journal import identity
        from statustui.journal.calls import CallJournal
        from statustui.journal.line import line_of

        try:
            records = make()
            owner = self.owner
            about = {
                **identity.describe(), "pid": owner.pid, "start": owner.start, "ns": owner.namespace, "lang": "sh",
            }  # fmt: skip
            lines = b"".join(line_of(kind, owner.run_id, fields) for kind, fields in records)
            CallJournal(owner.spool, owner.run_id, about).append(lines, len(records))
        except BadValue as error:
            _complain(self.name, str(error))
            return
        except (OSError, ValueError) as error:
            _complain(self.name, f"not recorded: {getattr(error, 'strerror', None) or error}")
            return
        if self._settings.drainer == "process":
            from statustui.journal.spawn import ensure_drainer

            ensure_drainer(owner.spool)

    def text(self, value: str, limit: int = _TEXT) -> str:
        """*value* as it may be recorded: cut, and without secrets."""
        from statustui.journal.safe import clean_text
        from statustui.model.redact import redact

        if self._patterns is None:
            self._patterns = []
            for pattern in self._settings.redact:
                import re

                try:
                    self._patterns.append(re.compile(pattern))
                except re.error:
                    continue  # doctor tells of it
        return redact(clean_text(value, limit), self._patterns)


def _caller(name: str) -> Caller | None:
    """The run to speak for; None, with a line that says so, outside any."""
    if os.environ.get("STATUSTUI_DISABLE", "") not in ("", "0"):
        return None
    from statustui import config
    from statustui.record.join import owner

    found = owner()
    if found is None:
        _complain(name, "not inside a run, nothing is recorded; start the program with: statustui run -- CMD")
        return None
    if found.ended():
        _complain(name, "the run that this was started in has ended, nothing is recorded")
        return None
    try:
        return Caller(name, found, config.load())
    except (StatustuiError, OSError) as error:
        _complain(name, f"not recorded: {error}")
        return None


def _event(given: list[str], options: dict[str, str], caller: Caller) -> "list[tuple[str, dict[str, Any]]]":
    kind = _LEVELS.get(options.get("level", "info").lower())
    if kind is None:
        raise BadValue(f"--level is {options['level'][:40]!r}, not one of info, warning, error")
    if "kind" in options:
        kind = options["kind"]
        if not kind or len(kind) > 50 or not all(c.isalnum() or c in "._-" for c in kind):
            raise BadValue(f"--kind is {kind[:60]!r}, not a word of letters, digits, '.', '_' and '-'")
        if kind in _OURS:
            raise BadValue(f"--kind {kind} is what statustui itself tells; choose another word")
    message = " ".join(given)
    if given == ["-"]:
        if sys.stdin is None:
            raise BadValue("standard input is closed, there is no message in it")
        message = sys.stdin.buffer.read(4 * _MESSAGE).decode("utf-8", "surrogateescape").strip()
    fields: dict[str, Any] = {"kind": kind, "message": caller.text(message, _MESSAGE)}
    if options.get("detail"):
        fields["detail"] = caller.text(options["detail"], _MESSAGE)
    return [("event", fields)]


def _progress(given: list[str], options: dict[str, str], caller: Caller) -> "list[tuple[str, dict[str, Any]]]":
    fields: dict[str, Any] = {"n": 0}
    if given:
        fields.update(_counted(given[0]))
    if "total" in options:
        fields["total"] = _count("--total", options["total"])
    for option, field in (("unit", "unit"), ("message", "message"), ("subtask", "name")):
        if options.get(option):
            fields[field] = caller.text(options[option])
    if "name" not in fields and caller.owner.subtask is not None:
        fields["parent"] = caller.owner.subtask
    return [("sub.info", fields)]


def _counted(word: str) -> "dict[str, Any]":
    """``+N``, ``N``, ``N/M`` (also with ``+``) or ``P%`` as fields of a record."""
    wanted = f"{word[:40]!r} is no count: write 12, +1, 12/56 or 45%"
    if word.endswith("%"):
        try:
            percent = float(word[:-1])
        except ValueError:
            raise BadValue(wanted) from None
        if not 0 <= percent <= 100:
            raise BadValue(f"{word[:40]} is not within 0% and 100%")
        return {"percent": percent}
    count, slash, total = word.partition("/")
    if not _is_number(count.removeprefix("+")) or (slash and not _is_number(total)):
        raise BadValue(wanted)
    number = _count("the count", count.removeprefix("+"))
    fields = {"add": number} if count.startswith("+") else {"complete": number}
    return {**fields, "total": _count("the total", total)} if slash else fields


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _count(what: str, text: str) -> int:
    if not _is_number(text) or len(text) > 16 or int(text) > _MOST:
        raise BadValue(f"{what} is {text[:40]!r}, not a whole number")
    return int(text)


def _subtask(given: list[str], options: dict[str, str], caller: Caller) -> "list[tuple[str, dict[str, Any]]]":
    from statustui.model.status import SubtaskStatus

    fields: dict[str, Any] = {"n": 0, "name": caller.text(" ".join(given), 500)}
    if "total" in options:
        fields["total"] = _count("--total", options["total"])
    if "weight" in options:
        fields["weight"] = _weight(options["weight"])
    for option, field in (("unit", "unit"), ("message", "message"), ("parent", "under")):
        if options.get(option):
            fields[field] = caller.text(options[option], 500 if option == "parent" else _TEXT)
    records: list[tuple[str, dict[str, Any]]] = []
    if "of" in options:
        records.append(("run.info", {"total": _count("--of", options["of"])}))
    ends = {"done": SubtaskStatus.COMPLETED, "failed": SubtaskStatus.FAILED, "skipped": SubtaskStatus.SKIPPED}
    end = next((status for option, status in ends.items() if option in options), None)
    if end is not None:
        fields["status"] = end.value
        if options.get("failed"):
            fields["error"] = caller.text(options["failed"], _MESSAGE)
        return [*records, ("sub.end", fields)]
    if "under" not in fields and caller.owner.subtask is not None:
        fields["parent"] = caller.owner.subtask
    for option, field in (("heading", "heading"), ("planned", "announced")):
        if option in options:
            fields[field] = True
    return [*records, ("sub.start", fields)]


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < 1e9:
        raise BadValue(f"--weight is {text[:40]!r}, not a number above 0")
    return weight


_MAKERS = {"event": _event, "progress": _progress, "subtask": _subtask}


def _around(caller: Caller | None, given: list[str], options: dict[str, str], command: list[str]) -> int:
    """Run a command as one subtask; the exit status is the command's, as a shell has it."""
    if caller is not None:
        caller.say(lambda: _subtask(given, options, caller))
    status, error = _ran(command)
    if caller is not None:
        end = {"failed": error} if error else {"done": ""}
        caller.say(
            lambda: _subtask(given, {name: options[name] for name in ("parent",) if name in options} | end, caller)
        )
    return status


def _ran(command: list[str]) -> tuple[int, str]:
    """Run a command to its end: (exit status, what went wrong). It is interrupted with us, being of our group."""
    import signal

    # Ctrl-C comes to both; what is sent to us alone is passed on.
    passed = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    defaults = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    held = signal.pthread_sigmask(signal.SIG_BLOCK, passed)
    try:
        # Python ignores SIGPIPE (and SIGXFSZ), the command shall not.
        pid = os.posix_spawnp(
            command[0], command, os.environ, setsigmask=held, setsigdef=[*defaults, signal.SIGPIPE, signal.SIGXFSZ]
        )
    except OSError as error:
        _complain("subtask", f"{command[0]}: {error.strerror}")
        return (127 if isinstance(error, FileNotFoundError) else 126), f"{command[0]}: {error.strerror}"
    for number in passed:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda received, _: os.kill(pid, received))
    signal.pthread_sigmask(signal.SIG_SETMASK, held)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status), f"killed by signal {os.WTERMSIG(status)}"
    code = os.WEXITSTATUS(status)
    return code, f"exit status {code}" if code else ""


def _complain(name: str, text: str) -> None:
    try:
        os.write(2, f"statustui {name}: {text}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        return
