"""The table of rules: what a line or a redrawn bar means. Data; tried in order, the first that matches counts.

Every pattern is anchored or bounded, so that it is linear in a text of at most ``stream.LONGEST`` characters.
"""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

BAR, WHOLE, OUTER, OWN = "bar", "whole", "outer", "own"
"""What a number counts: one thing of perhaps several; all that its program does; the rounds around other bars; what
the user says."""

_N = r"[0-9]{1,12}"
_SIZE = r"[0-9][0-9.,]{0,15}[kKMGTP]?"
_PERCENT = r"(?P<percent>[0-9]{1,3}(?:\.[0-9]{1,2})?) ?%"
_CELLS = r"[#=>\-*.+ ·]{5,400}"
_GLYPHS = r"[━╸╺─█▉▊▋▌▍▎▏▐░▒▓■□▰▱⣿⣀⣤⣶]"


def _words(text: str) -> list[str]:
    return text.split()


UNITS = frozenset(
    [
        one + ending
        for one in _words(
            "file item row record document doc page image chunk batch block table step task job sample tile state case"
            " line object package partition part frame url request message model dataset section region raster layer"
            " feature archive county entry query"
        )
        for ending in ("", "s", "es")
    ]
    + ["counties", "entries", "queries"]
)
"""What is counted in plain words: ``3 of 8 files``."""


class Rule:
    """One line of the table."""

    __slots__ = (
        "current", "first", "fluid", "growing", "hint", "label", "level", "name", "need", "pattern", "programs", "unit",
    )  # fmt: skip

    def __init__(
        self, name: str, hint: str, pattern: str, *, label: str = "", level: str = BAR, need: int = 2, unit: str = "",
        programs: "Sequence[str]" = (), first: str = "", current: bool = False, fluid: bool = False,
        growing: bool = False,
    ) -> None:  # fmt: skip
        self.name = name
        self.hint = hint
        """Text without which the pattern can not match: looked for first, because that is cheap."""
        self.first = first
        """Characters that it can begin with; empty for any."""
        self.pattern = re.compile(pattern)
        """Groups: ``done``, ``total``, ``left``, ``percent``, ``name``, ``message``, ``unit``, ``scale`` (``MB``)."""
        self.label = label
        """Name of the subtask where neither the text nor a heading above it gives one."""
        self.level = level
        self.need = need
        """Different, rising values after which it is believed; 1: the first."""
        self.unit = unit
        self.programs = programs
        """Commands whose own progress this is, when they are what was run: then it is the whole run's."""
        self.current = current
        """True: the number is of what has begun, so one less is done."""
        self.fluid = fluid
        """True: the name changes while it is the same bar."""
        self.growing = growing
        """True: the total may grow, so that the share may fall: then only the count is told."""


_PLAIN = r"(?P<percent>[0-9]{1,3})%"
_OF = rf"(?P<done>{_N})/(?P<total>{_N})"
_NAME = r"(?:(?P<name>[^|\r\n]{1,200}?): {1,3}| {0,2})"
_RICH = rf"^(?:(?P<name>[^━╸╺]{{1,200}}?) {{1,80}}| {{0,80}}){_GLYPHS}{{5,400}} {{1,400}}"
_CLOCK = r"[-0-9dh:]{5,9}"
_DIGITS = " 0123456789"
_MAKES = ("make", "gmake", "cmake", "ninja", "samu", "meson")
_ROUND = (
    r"[Ee]poch|EPOCH|[Ss]tep|STEP|[Ss]tage|STAGE|[Pp]hase|PHASE|[Pp]art|[Pp]ass|[Rr]ound|[Ff]old"
)  # fmt: skip
RULES = (
    Rule("osc", "\x1b]9;4;", r"\x1b\]9;4;[1245];(?P<percent>[0-9]{1,3})", level=WHOLE, label="progress", first="\x1b"),
    Rule("tqdm", "%|", rf"^{_NAME}[0-9]{{1,3}}%\|[^|]{{0,400}}\| {{0,4}}(?P<done>{_SIZE})/(?P<total>{_SIZE})"
         r" \[(?P<rate>[^\]]{0,60})", label="loop", fluid=True),
    Rule("tqdm-open", " [", rf"^{_NAME}(?P<done>{_SIZE})(?P<unit>[A-Za-z]{{1,20}}) "
         r"\[(?:[0-9]{1,9}:)?[0-9]{2}:[0-9]{2}, ", label="loop", fluid=True),
    Rule("git", "% (", rf"^(?:remote: )?(?P<name>[A-Z][A-Za-z ]{{2,40}}): {{1,3}}[0-9]{{1,3}}% \({_OF}\)"),
    Rule("snakemake", " steps (", rf"^(?P<done>{_N}) of (?P<total>{_N}) steps \([0-9.]{{1,6}}%\) done", level=WHOLE,
         label="steps", unit="steps", programs=("snakemake",), first=_DIGITS),
    Rule("ninja", "[", rf"^\[{_OF}\] (?P<message>\S.{{0,200}})", label="steps", unit="steps", level=WHOLE, need=3,
         programs=_MAKES, first="["),
    Rule("make", "%] ", rf"^\[ {{0,2}}{_PLAIN}\] (?P<message>\S.{{0,200}})", label="build", level=WHOLE, need=3,
         programs=_MAKES, first="["),
    Rule("wget", "%[", rf"^(?P<name>\S.{{0,200}}?) {{1,80}}{_PLAIN}\[[=> <+]{{5,200}}\]", label="download", fluid=True),
    Rule("wget-dots", "0K ", rf"^ {{0,8}}[0-9]{{1,12}}K [., ]{{10,120}} {_PLAIN} ", label="download", first=_DIGITS),
    Rule("curl", ":", rf"^ {{0,3}}(?P<percent>[0-9]{{1,3}}) {{1,5}}{_SIZE} {{1,5}}[0-9]{{1,3}} {{1,5}}{_SIZE} {{1,5}}"
         rf"[0-9]{{1,3}} {{1,5}}{_SIZE} {{1,6}}{_SIZE} {{1,6}}{_SIZE} {{1,4}}{_CLOCK} {{1,4}}{_CLOCK} ",
         label="download", first=_DIGITS),
    Rule("curl-bar", "#", r"^#{1,400} {0,400}(?P<percent>[0-9]{1,3}\.[0-9])%$", label="download", first="#"),
    Rule("rsync", "B/s ", rf"^ {{0,14}}(?P<done>[0-9][0-9,.]{{0,20}}[KMGTP]?) {{1,4}}{_PLAIN} {{1,4}}[0-9.,]{{1,12}}"
         r"[kKMGT]?B/s {1,6}[0-9]{1,6}:[0-9]{2}:[0-9]{2}(?: \(xfe?r#[0-9]{1,12}, (?P<scan>ir|to)-chk=)?",
         label="copy", unit="B", growing=True, first=_DIGITS),
    Rule("aria2", "[#", r"^\[#[0-9a-f]{6} (?P<done>[0-9.]{1,10})(?P<scale>[KMGT]?i?B)/(?P<total>[0-9.]{1,10})"
         r"(?P<scale_total>[KMGT]?i?B)\([0-9]{1,3}%\)", label="download", unit="B", first="["),
    Rule("dd", "copied,", rf"^(?P<done>{_N}) bytes (?:\([^)]{{1,60}}\) )?copied, [0-9.]{{1,12}} s", label="copy",
         unit="B", programs=("dd",), first=_DIGITS),
    Rule("dpkg-read", "database", rf"^\(Reading database \.\.\. {_PLAIN}", label="reading database", first="("),
    Rule("apt", "Progress: [", rf"^Progress: \[ {{0,2}}{_PLAIN}\]", label="packages", level=WHOLE,
         programs=("apt", "apt-get", "aptitude"), first="P"),
    Rule("apt-get", "% [", rf"^{_PLAIN} \[(?!Working)", label="download", first=_DIGITS),
    Rule("r-bar", "|", rf"^ {{0,2}}\|[^|]{{10,400}}\| {{1,3}}{_PLAIN}$", label="loop", first=" |"),
    Rule("parallel", "=", rf"^[0-9]{{1,3}}% (?P<done>{_N}):(?P<left>{_N})=[0-9.]{{1,12}}s", label="jobs", unit="jobs",
         level=WHOLE, programs=("parallel",), first=_DIGITS),
    Rule("ctest", "Test", rf"^ {{0,6}}{_OF} Test {{1,4}}#[0-9]{{1,6}}: ", label="tests", unit="tests", level=WHOLE,
         need=3, programs=("ctest",), first=_DIGITS),
    Rule("7z", "%", rf"^ {{0,3}}{_PLAIN} (?:[0-9]{{1,9}} )?[-+TU] ", label="archive", first=_DIGITS),
    Rule("round", "", rf"^\W{{0,6}}(?P<name>{_ROUND})\W{{1,3}}(?P<done>[0-9]{{1,6}}) ?(?:/|of|out of) ?"
         r"(?P<total>[0-9]{1,6})(?![\w/.-])(?P<message>.{0,200})", level=OUTER, need=3, current=True, label="rounds"),
)  # fmt: skip
_BY_FIRST: "dict[tuple[str, bool], tuple[Rule, ...]]" = {}


def fitting(line: str) -> "tuple[Rule, ...]":
    """The rules of the table that a line could match, by its first character and whether there is a ``%`` in it."""
    key = line[:1], "%" in line
    found = _BY_FIRST.get(key)
    if found is None:
        fit = [rule for rule in RULES if (not rule.first or key[0] in rule.first) and (key[1] or "%" not in rule.hint)]
        found = tuple(fit)
        if len(_BY_FIRST) < 512:
            _BY_FIRST[key] = found
    return found


_CELL = re.compile(rf"{_GLYPHS}{{3}}")
_EDGES = ("[=", "[#", "[>", "[-", "[*", "[+", "[.", "[  ")


def barish(line: str) -> bool:
    """Is there something like a bar? Else none of the next table is tried."""
    if not line.isascii() and _CELL.search(line) is not None:
        return True
    if "[" in line:
        for edge in _EDGES:  # a generator would cost more than the search
            if edge in line:
                return True
    return False


BARS = (
    Rule("rich-size", "B", rf"{_RICH}(?:[0-9]{{1,3}}% )? {{0,4}}(?P<done>[0-9.,]{{1,15}})/(?P<total>[0-9.,]{{1,15}}) "
         r"(?P<scale>[kKMGT]?i?B|bytes)", label="download", unit="B"),
    Rule("rich-count", "/", rf"{_RICH}(?:[0-9]{{1,3}}% )? {{0,4}}{_OF}\b", label="progress"),
    Rule("rich", "%", rf"{_RICH}{_PERCENT}", label="progress"),
    Rule("pv", "%", rf"^ {{0,4}}{_SIZE}i?B (?:[0-9]{{1,4}}:)?[0-9]{{1,2}}:[0-9]{{2}}:[0-9]{{2}} \[.{{1,20}}?\] "
         rf"\[{_CELLS}\] {{1,3}}{_PERCENT}", label="copy", level=WHOLE, programs=("pv",)),
    Rule("bar-count", "/", rf"^(?:(?P<name>[A-Za-z][^\[|]{{0,60}}?):? )? {{0,40}}{_OF} {{1,4}}"
         rf"(?:\[{_CELLS}\]|{_GLYPHS}{{5,400}})", label="progress"),
    Rule("bar-after", "%", rf"^(?P<name>[A-Za-z][^\[|]{{0,60}}?)?[:|]? {{0,40}}(?:\[{_CELLS}\]|{_GLYPHS}{{5,400}}\|?)"
         rf" {{0,40}}{_PERCENT}(?![0-9])", label="progress"),
)  # fmt: skip

COUNT = Rule("count", "", r"(?P<done>[0-9]{1,9}) ?(?:/|of|out of) ?(?P<total>[0-9]{1,9})(?![\w/%]|[.,:-][0-9])",
             need=3, label="files")  # fmt: skip
"""Counts in plain words, beside a word for what is counted. One line alone says little."""
RAW = re.compile(r"^Progress:? {1,2}$")

_LONE = r"(?P<percent>[0-9]{1,3}(?:\.[0-9]{1,2})?) ?%(?![\w%])"
BEFORE = " \t([:#=-|"
"""What may stand before a number in plain words."""
REDRAWN = Rule("percent-redrawn", "%", _LONE, need=4, label="progress")
"""A lone percent in a text that is drawn again in its place."""
PRINTED = Rule("percent-printed", "%", _LONE, need=4, label="progress")
"""A lone percent in lines that differ in nothing else."""
LONGEST_LONE = 160
RATE = re.compile(r"[0-9?](?P<scale>[kMGT]?)(?P<unit>[A-Za-z]{1,20}?)/s|s/(?P<each>[A-Za-z]{1,20})")
"""The unit in tqdm's rate: ``24.8it/s``, ``1.2MB/s``, ``1.83s/it``."""
GROWN = Rule("row", "", r"^(?P<run>([-=#*+.>|~o])\2{0,399})$", need=4, label="loop")
"""R's bar of style 1: a row of one sign that grows; full at 80, as R draws it where nobody has set its width."""
GROWN_FULL = 80

# Numbers that go up and down by themselves, and counts of tries: no progress, however they move.
NOT_PROGRESS = frozenset(
    _words("""
        usage use used using cpu mem memory rss heap load disk free avail available idle battery swap capacity full
        off discount sale cover covered coverage accuracy accurate acc loss rate ratio hit hits miss misses missing
        confidence quality score humidity error errors fail failed failing failure failures passed retry retries
        retrying try tries attempt attempts replica replicas shard shards worker workers thread threads rank ranks
        node nodes retention utilization util health healthy probability threshold limit quota packet packets
        percentile reduction reduced increase increased decrease decreased growth interest tax vat volume level
        brightness throttle throttled inode inodes version compression compressed test tests identity similarity
        match matched matches mapped aligned slower faster saved smaller larger recipients regions queues cores room
        floor win lose null users stars rating
    """)
)  # fmt: skip
PROGRESS_WORDS = frozenset(
    _words("""
        progress done complete completed completion finished processed processing loaded loading copied copying
        written writing read reading download downloaded downloading upload uploaded uploading extract extracted
        extracting convert converted converting import imported importing export exported exporting index indexed
        indexing scan scanned scanning analyzed analyzing analysed analysing render rendered rendering train trained
        training install installed installing transfer transferred transferring sync synced syncing migrate migrated
        migrating verify verified verifying check checked checking build built building generate generated
        generating encode encoded encoding receive received receiving send sent sending fetch fetched fetching
        simulate simulated simulating sampling iteration iterations warmup warming working
    """)
)  # fmt: skip
DONE_WORDS = frozenset(
    _words("done complete completed finished processed loaded copied written saved imported exported")
)
_WORDS = re.compile(r"[a-z]+")
_ONLY_LETTERS = "".join(chr(code) if chr(code).islower() else " " for code in range(128))


def words_of(line: str) -> set[str]:
    """The words of a line, in lower case and without what is around them."""
    low = line.lower()
    return set(low.translate(_ONLY_LETTERS).split() if low.isascii() else _WORDS.findall(low))


_MARKS = r"^[\s*=#>\-]{0,8}"
HEADING = re.compile(
    rf"{_MARKS}(?:Downloading|Saving to:|Collecting|Fetching|Unpacking|Extracting|Copying)\s{{0,9}}[:‘'\"]?\s{{0,4}}"
    r"(?P<thing>[^\s=#*_-].{1,120})"
    rf"|{_MARKS}(?P<phrase>(?:Installing|Building|Receiving|Reading|Writing|Loading|Processing|Running|Stage|Phase|Step"
    r"|Task|Part)\b.{1,120})|^(?:==+>?|##+|>>>) {1,4}(?P<marked>[^\s=#*_-].{1,120})"
)
"""A line above a bar that names what it is about."""
FILE_NAME = re.compile(r"^(?=[^ ]*[./]|.*\.[A-Za-z0-9]{1,8}$)[\w.@+~%-][^:*?\"<>|]{0,160}$")
"""A file's name on a line of its own; a bare word is too little to be one."""
CLOCK = re.compile(r"\btime=(-?[0-9]{1,3}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?")
DURATION = re.compile(r"^ {0,4}Duration: ([0-9]{1,3}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,6})?, start: ")
FFMPEG = Rule("ffmpeg", "time=", r"$^", label="media", unit="s", level=WHOLE, programs=("ffmpeg",))

_SCALES = {"": 1, "k": 1_000, "K": 1_000, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_BINARY = {"K": 1 << 10, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}


def amount(text: str, scale: str = "") -> int | None:
    """A number as programs print it (``1,234``, ``1.20M``) as a whole one; *scale* is a unit like ``MiB`` behind it."""
    text = text.replace(",", "")
    factor = 1
    if text[-1:] in _SCALES and text[-1:]:
        factor, text = _SCALES[text[-1]], text[:-1]
    if scale[:1] in _BINARY and scale not in ("bytes",):
        factor = (_BINARY if "i" in scale else _SCALES)[scale[0]]
    try:
        return round(float(text) * factor)
    except (ValueError, OverflowError):
        return None
