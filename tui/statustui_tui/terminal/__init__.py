"""The border to the terminal: what may start, what is written, and how it is left behind."""
