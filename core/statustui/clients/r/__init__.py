"""The client for R: a package of base R, installed by ``statustui r-install``."""
