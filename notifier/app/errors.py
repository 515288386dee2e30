"""Why the daemon cannot start or reload, for people."""


class StartError(Exception):
    """The daemon cannot start; the message says why and what to do."""


class WrongSettingsError(StartError):
    """It could not start however often it was tried: the configuration is wrong, which only showed itself now."""
