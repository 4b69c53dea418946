"""The terminal monitor of statustui."""
