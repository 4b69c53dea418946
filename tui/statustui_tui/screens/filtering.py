"""The filter that is typed after ``/``: words, regular expressions, fields, and ``!`` for the contrary."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from statustui.model.run import Run

_FIELDS: dict[str, Callable[[Run], str]] = {
    "user": lambda run: run.user or "",
    "host": lambda run: run.host or "",
    "task": lambda run: run.task,
    "stage": lambda run: run.stage or "",
    "status": lambda run: run.status.value,
    "id": lambda run: str(run.id),
}


def _anything(run: Run) -> str:
    parts = (
        str(run.id),
        run.task,
        run.stage,
        run.label,
        run.host,
        run.user,
        run.status.value,
        run.subtask_name,
        run.overall_message,
        run.subtask_message,
        run.error_type,
        run.error_message,
        run.lost_reason,
        *run.args,
    )
    return "\n".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """One condition of a filter."""

    text_of: Callable[[Run], str]
    pattern: re.Pattern[str]
    inverse: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Conditions that must all hold."""

    text: str = ""
    """As it was typed."""
    terms: tuple[Term, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms)

    def matches(self, run: Run) -> bool:
        """True when *run* meets every condition."""
        return all(bool(term.pattern.search(term.text_of(run))) is not term.inverse for term in self.terms)


def parse(text: str) -> Filter:
    """Read a filter: words are joined by *and*; what is no valid expression is taken literally.

    >>> parse("host:db1 !roads").text
    'host:db1 !roads'
    """
    terms = []
    for word in text.split()[:20]:
        inverse = word.startswith("!")
        body = word[1:] if inverse else word
        name, colon, value = body.partition(":")
        if colon and name in _FIELDS:
            text_of, body = _FIELDS[name], value
        else:
            text_of = _anything
        if not body:
            continue
        if body.startswith("!"):
            inverse, body = not inverse, body[1:]
        terms.append(Term(text_of=text_of, pattern=_compile(body), inverse=inverse))
    return Filter(text=text, terms=tuple(terms))


def _compile(body: str) -> re.Pattern[str]:
    flags = re.IGNORECASE if body == body.lower() else re.NOFLAG
    # Nested repeats could run for ever on a long text; such an expression is taken literally.
    if len(body) > 200 or re.search(r"[*+}]\)?[*+{]", body):
        return re.compile(re.escape(body), flags)
    try:
        return re.compile(body, flags)
    except re.error:
        return re.compile(re.escape(body), flags)
