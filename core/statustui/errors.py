"""The base of all errors that statustui raises on purpose. The message of each is one line for a person."""


class StatustuiError(Exception):
    """Something that the user should know went wrong with statustui."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class ConfigError(StatustuiError):
    """The configuration of statustui can not be used."""
