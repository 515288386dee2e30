"""`python -m notifier` and the `notifier` command."""

from notifier.cli import main

if __name__ == "__main__":
    main()
