"""Values made safe for a line of the journal: nothing that a store or a terminal chokes on gets through."""

MAX_TEXT = 65_536
"""Characters of the longest text that is kept whole."""
_MAX_INT = (1 << 63) - 1


def clean_text(text: str, limit: int = MAX_TEXT) -> str:
    r"""Cut *text*, and make NUL and lone surrogates visible (``\xff`` for a byte that did not decode)."""
    if len(text) > limit:
        note = f"… [{len(text):,} characters]"
        text = text[: max(0, limit - len(note))] + note
    if "\0" in text:
        text = text.replace("\0", "\u2400")
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(_visible(char) if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def _visible(surrogate: str) -> str:
    code = ord(surrogate)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def clean(value: object, *, text: int = MAX_TEXT, items: int = 10_000, depth: int = 12) -> object:
    """A copy of *value* that is plain JSON: numbers finite and of 64 bits, text clean and cut.

    Args:
        value: anything at all; what JSON does not know becomes its text.
        text: characters kept of one text.
        items: members kept of one list or mapping.
        depth: levels kept; what lies deeper becomes its text.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return clean_text(str.__str__(value), text)
    if isinstance(value, int):
        return _clean_int(int.__add__(value, 0))
    if isinstance(value, float):
        number = float.__add__(value, 0.0)
        return number if number - number == 0.0 else None
    if depth > 0 and isinstance(value, dict):
        pairs = list(dict.items(value))[:items]  # not its own method, which may do anything
        return {
            clean_text(k if type(k) is str else _text_of(k), 200): clean(v, text=text, items=items, depth=depth - 1)
            for k, v in pairs
        }
    if depth > 0 and isinstance(value, (list, tuple)):
        return [clean(v, text=text, items=items, depth=depth - 1) for v in _members(value)[:items]]
    return clean_text(_text_of(value), min(text, 4096))


def _members(value: list[object] | tuple[object, ...]) -> list[object]:
    whole = slice(None)
    return list(list.__getitem__(value, whole) if isinstance(value, list) else tuple.__getitem__(value, whole))


def _clean_int(number: int) -> int | float | None:
    if -_MAX_INT <= number <= _MAX_INT:
        return number
    try:
        return float(number)
    except OverflowError:
        return None


def _text_of(value: object) -> str:
    if isinstance(value, (dict, list, tuple)):
        return "…"  # its own text could be deep or without end
    try:
        return str(value)
    except Exception as error:  # the program's own __str__: whatever it raises must not leave the recorder
        return f"<{type(value).__name__}: {type(error).__name__}>"
