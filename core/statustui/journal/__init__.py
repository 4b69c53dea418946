"""The journal: the one interface between a program and statustui, described in ``FORMAT.md``.

Import the submodules by name; this package imports none of them.
"""
