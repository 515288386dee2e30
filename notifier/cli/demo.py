"""`notifier demo`: the whole story in one terminal, no account and no network needed."""

import typer


def demo() -> None:
    """Watch three simulated videos from the first poll to the verified webhook; takes about ten seconds."""
    # Here, because the daemon's libraries take a second to load, which whoever reads the help need not wait for.
    from notifier.cli.narration import narrate  # noqa: PLC0415

    raise typer.Exit(narrate())
