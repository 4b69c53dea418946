"""Bringing in what is there already: run histories of other systems, logs of programs that know nothing of us."""
