"""Which version this is."""

from importlib import metadata


def version() -> str:
    """Version of the installed distribution."""
    try:
        return metadata.version("statustui")
    except metadata.PackageNotFoundError:
        return "0+unknown"
