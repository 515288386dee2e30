"""Why the daemon cannot start or reload, for people."""


class StartError(Exception):
    """The daemon cannot start; the message says why and what to do."""
