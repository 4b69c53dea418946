"""What can be concluded from runs and their history: time left, marks, what needs a person. Pure: no I/O."""
