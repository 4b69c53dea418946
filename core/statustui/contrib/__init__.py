"""Hooks for other tools, one small module each. A module imports its tool; nothing imports them all."""
