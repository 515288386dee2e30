"""Why a store cannot be opened. What goes wrong later is `StoreUnavailableError`, which passes."""


class StoreError(Exception):
    """The store cannot be opened as it is; the message says what to do about it."""


class StoreBusyError(StoreError):
    """Another daemon has this store open."""


class StoreTooNewError(StoreError):
    """A newer version of this program has written the store."""
