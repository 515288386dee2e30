"""What has ended long ago is forgotten."""

from datetime import timedelta

import structlog

from notifier.config import Settings
from notifier.ports import Clock, StoreUnavailableError, Upkeep

log = structlog.get_logger()


async def clean(store: Upkeep, clock: Clock, settings: Settings) -> None:
    """Delete what ended more than `store.retention` ago. Files that `archive.retention` will delete stay known."""
    before = clock.settled() - timedelta(seconds=settings.store.retention)
    keep_files = settings.archive is not None and settings.archive.retention is not None
    try:
        cleaned = await store.clean(before, keep_files=keep_files)
    except StoreUnavailableError as error:
        log.warning("store.uncleaned", error=str(error))
        return
    if cleaned:
        log.info("store.cleaned", watches=cleaned)
