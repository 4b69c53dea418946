"""Control of runs: the ``run`` wrapper, cancel, retry, mark, acknowledge.

Import the submodules by name; this package imports none of them, so that the wrapper starts fast.
"""
