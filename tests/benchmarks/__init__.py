"""Benchmarks: every line of the budgets, beside the peer or the limit, in one table."""
