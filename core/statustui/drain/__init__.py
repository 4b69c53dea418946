"""The drainer: one process for each user, host and store that moves journals into the store.

It tails, batches and applies, proves deaths, samples processes and carries out what people ask for.
``python -m statustui.drain SPOOL`` runs it; ``statustui.drain.inline`` does the same work once.
"""
