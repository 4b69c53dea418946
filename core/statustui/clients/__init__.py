"""Clients of the journal in other languages, and the program's side of them."""
