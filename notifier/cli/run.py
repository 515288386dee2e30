"""`notifier run`: the daemon in the foreground."""

import typer

from notifier.cli.options import DEFAULT_CONFIG, ConfigOption, load_or_exit


def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the daemon in the foreground; logs go to stderr.

    SIGTERM and SIGINT stop it in order, SIGHUP reloads the configuration.
    """
    settings = load_or_exit(config, secrets="required")
    # Here, because the daemon's libraries take a second to load, which the other commands need not wait for.
    from notifier.cli.foreground import serve  # noqa: PLC0415

    raise typer.Exit(serve(config, settings))
