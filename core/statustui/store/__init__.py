"""The store: schema, opening, applying what drainers read, reading for viewers, what people ask for.

Import the submodules by name; nothing is imported here, so that ``statustui`` stays cheap to import.
"""
