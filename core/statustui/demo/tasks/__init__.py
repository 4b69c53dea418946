"""The demo's tasks: small, real programs over files that every machine with Python has."""
