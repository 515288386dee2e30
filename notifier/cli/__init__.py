"""The `notifier` command: flags in, exit code out; one file for each family of commands."""

import sys

from notifier.cli.root import app


def main() -> None:
    """Run the command named on the command line. A closed pipe (`notifier … | head`) is no error worth a traceback."""
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


__all__ = ["app", "main"]
