"""What a person may want to adopt: the long processes of one's own that nobody tracks."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from statustui.control.adopt import is_ours, tracked, words_of
from statustui.control.options import describe
from statustui.model.redact import redact_argv
from statustui.process import command_line, tree
from statustui.process.facts import Facts, ancestors, facts, pids

if TYPE_CHECKING:
    from statustui.model.run import Run

LONG_S = 10.0
"""Seconds after which a process counts as a long one."""

_SHELLS = re.compile(r"-?(?:ba|da|k|z|a|fi|tc|c)?sh|-?nu|-?pwsh|-?xonsh")
# What serves a session or the machine, and programs that a person sits in front of.
_NEVER = re.compile(
    r"systemd.*|\(sd-pam\)|init|sshd.*|sshd-session|login|su|sudo|agetty|getty|cron|crond|atd|dbus-.*|polkitd|"
    r"gpg-agent|ssh-agent|ssh|mosh.*|autossh|scp|sftp|sftp-server|tmux.*|screen|SCREEN|zellij|byobu.*|script|"
    r"vi|vim|nvim|view|vimdiff|nano|emacs.*|micro|hx|helix|joe|mcedit|ed|kak|less|more|most|man|info|"
    r"top|htop|btop|atop|glances|nvitop|watch|iotop|mc|ranger|nnn|lf|"
    r"gnome-.*|gvfs.*|gsd-.*|at-spi.*|xdg-.*|pipewire.*|wireplumber|pulseaudio|ibus.*|Xorg|Xwayland|kwin.*|plasma.*|"
    r"code|code-server|cursor.*|containerd.*|dockerd|runc|conmon|podman|tini|dumb-init|rsyslogd|journalctl|dmesg"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One process that could be adopted."""

    about: Facts
    name: str
    """The task's name that it would have."""
    command: str
    """Redacted; text from outside."""
    cpu_percent: float
    """Of its tree, on average since it began; 100 = one core."""
    rss_bytes: int
    """Of its tree."""
    processes: int

    @property
    def cpu_s(self) -> float:
        """Processor time that its tree has used, in seconds."""
        return self.cpu_percent / 100.0 * self.about.age_s


def candidates(open_runs: "Iterable[Run]") -> list[Candidate]:
    """Those of this user, the topmost of each tree, what has worked most first.

    Args:
        open_runs: the runs that are open in the store: what they track is left out.
    """
    known = tracked(open_runs)
    own = os.geteuid()
    avoid = {os.getpid(), *ancestors(os.getpid()), 1, 2}
    found: dict[int, Facts] = {}
    for pid in pids():
        if pid in avoid or (about := facts(pid)) is None or about.uid != own:
            continue
        if about.age_s >= LONG_S and about.argv and about.state not in "ZXx" and wanted(about):
            found[pid] = about
    inside = {pid for pid, _ in known}
    kept = {}
    for pid, about in found.items():
        above = [pid, *ancestors(pid)]
        if not inside.intersection(above) and not any(parent in found for parent in above[1:]):
            kept[pid] = about
    used = tree.sample({pid: (pid, about.start) for pid, about in kept.items()})
    listed = []
    for pid, about in kept.items():
        usage = used.get(pid)
        if usage is None:
            continue
        argv = words_of(about)
        listed.append(
            Candidate(
                about=about,
                name=describe(argv, command_line.directory(pid)).name,
                command=" ".join(redact_argv(argv[:200])),
                cpu_percent=usage.cpu_percent,
                rss_bytes=usage.rss_bytes,
                processes=usage.processes,
            )
        )
    return sorted(listed, key=lambda one: (-round(one.cpu_s), -one.about.age_s, one.about.pid))


def wanted(about: Facts) -> bool:
    """Is it work, not a shell, an editor, a service of the session, or our own?"""
    argv = list(about.argv)
    base = os.path.basename(argv[0].split(" ", 1)[0].rstrip(":")) or argv[0]
    if is_ours(argv) or _NEVER.fullmatch(base):
        return False
    if _SHELLS.fullmatch(base):
        return _runs_a_script(argv)
    return True


def _runs_a_script(argv: list[str]) -> bool:
    """A shell that was given a script or a command; not one that a person types into."""
    rest = [word for word in argv[1:] if not word.startswith("--")]
    return bool(rest) and (describe(argv).script is not None or any(re.fullmatch(r"-[a-z]*c", word) for word in rest))
