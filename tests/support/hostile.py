"""Strings that harm terminals, markup parsers or layouts. None of them may act on a terminal or end a program."""

HOSTILE: tuple[str, ...] = (
    # Markup
    "[/red]", "[/]", "[/some/path]", "[bold]x", "[@click=app.quit]click me[/]", "[link=file:///etc/passwd]x[/link]",
    "[red on green]", "[[x]]", "[", "]", "[#ff0000]x", "\\[bold]", "[not a tag", "$text", "{0} {x} %s %(a)s",
    # CSI
    "\x1b[2J", "\x1b[31mred", "\x1b[1;1H0 failed", "\x1b[6n", "\x1b[c", "\x1b[>c", "\x1b[?1049l", "\x1b[?1003h",
    "\x1b[20t",
    "\x1b[21t", "\x1b[5i", "\x1b[4h", "\x1b[!p", "\x1b[8m hidden", "\x1b[999999999999m", "\x1b[38;5", "\x1b[", "\x1b",
    "\x1b[3;J\x1b[2K", "\x1b[>1u", "\x1b[?2026h", "\x1b[1 q", "\x1b[38;2;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18m",
    # OSC, DCS, APC, PM, SOS
    "\x1b]0;owned\x07", "\x1b]2;owned\x1b\\", "\x1b]52;c;cm0gLXJmIH4=\x07", "\x1b]52;c;?\x07", "\x1b]52;c;unended",
    "\x1b]8;;http://example.org\x1b\\text\x1b]8;;\x1b\\", "\x1b]4;1;?\x07", "\x1b]50;?\x07", "\x1b]777;notify;a;b\x07",
    "\x1bP$q\"p\x1b\\", "\x1bP0;0|41/6c73\x1b\\", "\x1b_Gi=31\x1b\\", "\x1b^pm\x1b\\", "\x1bXsos\x1b\\",
    "\x1bPtmux;\x1b\x1b[2J\x1b\\",
    # Other escapes and C1
    "\x1bc", "\x1b7\x1b8", "\x1b#8", "\x1b(0", "\x1bM", "\x1b=", "\x9b2J", "\x9b31m", "\x9d0;owned\x9c", "\x90q\x9c",
    "\x85next",
    "\x84\x8d\x8e\x8f", "\x1b\x9b6n",
    # C0
    "\x00nul", "\x07bell", "back\x08\x08\x08\x08forged", "vertical\x0btab", "form\x0cfeed", "\x0eshift\x0f", "del\x7f",
    "\x11\x13",
    "one\rtwo", "line\nfeed", "tab\tstop", "\x1a\x18cancel", "a\r\nb",
    # Direction, invisible, joined, wide
    "\u202eevil\u202c", "\u2066a\u2069", "\u200fa\u200e", "zero\u200bwidth", "\ufeffbom", "\u2028line\u2029paragraph",
    "\U000e0041tag", "e" + "\u0301" * 60, "\u0315" * 30, "a\u200db", "👩‍👩‍👧‍👦 family", "🏳️‍🌈",
    "日本語テキスト", "ｆｕｌｌ", "한글", "👍🏽",
    "\u0600\u06dd", "\u1160\u11a2", "\ufff9a\ufffab\ufffb", "\u061c", "\xad soft",
    # What is no text
    "\udcff\udcfe", "\ud800", "\udfff tail", "a\udc9b2J", "\ufffe\uffff",
    # Size
    "x" * 1_000_000, "日" * 100_000, "\x1b[31m" * 20_000, "\r" * 100_000, "\n" * 10_000, " " * 50_000, "[" * 50_000,
    # Names that look like something
    "", " ", "-rf", "../../etc/passwd", "'; DROP TABLE runs; --", "$(reboot)", "`id`", "%n%n%n", "nan", "None",
)  # fmt: skip

FOREIGN = (
    b"\x1b]", b"\x1bP", b"\x1b_", b"\x1b^", b"\x1bX", b"\x1bc", b"\x1b(", b"\x1b#", b"\x1b[2J", b"\x1b[6n", b"\x07",
)  # fmt: skip
"""What the monitor itself never sends: one of these in its output came from outside."""
