"""Facts about processes: who they are, whether they live, what their trees use.

Import the submodules by name. Linux is read from ``/proc`` directly (one pass for all trees); elsewhere
psutil answers, imported only then.
"""
