"""Where providers' credentials may go in these tests."""

from notifier.adapters.http import NOWHERE, Home


async def nowhere(_: str) -> Home:
    return NOWHERE
