"""The user's own expressions: ``--progress REGEX`` and ``progress = […]`` in the configuration.

An expression can be one that takes for ever on some line. So the lines are short, the processor time that matching
takes is bounded, and an expression that needs more is switched off.
"""

import re
import signal

from statustui.control.output.rules import OWN, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

LIMIT_S = 0.2
"""Processor time that one text may take."""


class _TooLong(Exception):
    """An expression has used up its time."""


class Own:
    """The user's own rules, tried before all others.

    Args:
        expressions: valid ones; others are left out.
        alone: True: the built-in table is not used.
    """

    def __init__(self, expressions: "Sequence[str]", *, alone: bool) -> None:
        self.alone = alone
        self.note: str | None = None
        """What a person should know: an expression was switched off. To be taken once."""
        self._rules: list[Rule] = []
        for number, expression in enumerate(expressions, 1):
            try:
                self._rules.append(
                    Rule(f"own-{number}", "", expression, level=OWN, need=1, label="progress", fluid=True)
                )
            except re.error:
                continue  # doctor tells of it; the command must run

    def __bool__(self) -> bool:
        return bool(self._rules) or self.alone

    def match(self, text: str) -> "tuple[Rule, re.Match[str]] | None":
        """The first of the rules that is found in *text*."""
        for rule in self._rules:
            try:
                found = _search(rule.pattern, text)
            except _TooLong:
                self._rules.remove(rule)
                self.note = (
                    f"the expression {rule.pattern.pattern[:200]!r} of --progress took too long on a line of "
                    f"{len(text)} characters and was switched off"
                )
                return None
            if found is not None:
                return rule, found
        return None


def _stop(number: int, frame: "FrameType | None") -> None:
    raise _TooLong


def _search(pattern: "re.Pattern[str]", text: str) -> "re.Match[str] | None":
    """Search with a limit. The matcher looks for signals as it goes, so that an alarm ends it."""
    before = signal.signal(signal.SIGVTALRM, _stop)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
        try:
            return pattern.search(text)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    finally:
        signal.signal(signal.SIGVTALRM, before)
