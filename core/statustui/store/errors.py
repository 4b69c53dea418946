"""What can be wrong with a store. Each message is one line that says what to do."""

from statustui.errors import StatustuiError


class StoreUnavailable(StatustuiError):
    """The store can not be reached."""


class StoreBusy(StoreUnavailable):
    """Somebody else holds what is needed in the store; trying again helps."""


class NoStore(StoreUnavailable):
    """There is no store yet; the first recorded run makes it."""


class StoreNewer(StatustuiError):
    """The store was made by a newer statustui: upgrade this one."""


class NotOurStore(StatustuiError):
    """What stands there is no store of statustui's; it is left alone."""
