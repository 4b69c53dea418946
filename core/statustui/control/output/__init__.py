"""Progress out of what a command prints: read back from its log, by rules, believed only on evidence.

``stream`` cuts bytes into lines and redrawn bars, ``rules`` is the table of what they mean, ``evidence`` believes a
number when it has repeated and moved, ``levels`` makes subtasks of what is believed, ``follow`` reads and paces.
Nothing here is imported before the command has run for half a second.
"""
