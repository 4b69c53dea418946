"""Hooks for other tools, one small module each. A module imports its tool; nothing imports them all."""

everywhere: set[str] = set()
"""Tools of which every use is recorded, as soon as their module here is imported (``python -m statustui run``)."""
