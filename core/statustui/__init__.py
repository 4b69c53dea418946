"""statustui: htop for data pipelines."""
