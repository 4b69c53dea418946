"""Items through steps: definition, reporting (through the journal), coordinating (through the store)."""
