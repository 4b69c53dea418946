"""What a program touches when it records itself. Knows the journal, and no store.

Nothing in here raises into the program (P1) or waits for anything (P2); the one exception is a call that does not
fit its signature. Submodules are imported by name, so that a program pays for what it uses.
"""
