"""Widgets of the monitor, one per file. They show what they are given and never ask the store."""
