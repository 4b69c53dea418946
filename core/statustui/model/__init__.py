"""The vocabulary of statustui: statuses, progress arithmetic, ids, times, values. Pure: no I/O.

Import the submodules by name; this package imports none of them, so that a program that only
records pays for what it uses.
"""
