"""From settings to a daemon at work, and back: what is opened is closed, in the reverse order."""

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import structlog

from notifier import __version__
from notifier.adapters.api import build_api
from notifier.adapters.serving import serve
from notifier.adapters.stores.address import file_of, is_server, shown
from notifier.adapters.stores.errors import StoreError
from notifier.adapters.stores.sqlite import open_sqlite
from notifier.adapters.stores.store import SqlStore
from notifier.adapters.systemd import ALONE, ServiceManager
from notifier.app.daemon import Daemon, Load
from notifier.app.errors import StartError
from notifier.app.listening import open_listener
from notifier.config import Settings
from notifier.ports import StoreUnavailableError

if TYPE_CHECKING:
    from notifier.app.cluster import Cluster

log = structlog.get_logger()

INTAKE_GRACE_SECONDS = 1


@contextlib.asynccontextmanager
async def running(settings: Settings, load: Load, manager: ServiceManager = ALONE) -> AsyncIterator[Daemon]:
    """A daemon at work for as long as the block runs; `load` reads the configuration anew for a reload.

    Raises StartError when it cannot start. Leaving the block stops it in order, within 30 s. The intake answers until
    the end, if only to say that it is stopping; but on a passed socket it leaves new connections to the daemon that
    comes next.
    """
    async with contextlib.AsyncExitStack() as undo:
        listener = open_listener(settings.intake, manager.sockets)
        if listener is not None:
            undo.callback(listener.socket.close)
        try:
            store, cluster = await _open(settings.store.url)
        except StoreError as error:
            raise StartError(f"store.url: {error}") from error
        undo.push_async_callback(store.close)
        daemon = Daemon(settings, load, store, listener, manager, cluster=cluster)
        await _start(daemon)
        hand_over = listener is not None and listener.passed
        if hand_over:
            undo.push_async_callback(daemon.stop)
        if listener is not None:
            api = build_api(daemon.api_parts())
            serving = serve(api, listener.socket, grace=INTAKE_GRACE_SECONDS, hand_over=hand_over)
            await undo.enter_async_context(serving)
        if not hand_over:
            undo.push_async_callback(daemon.stop)
        log.info("daemon.started", version=__version__, intake=daemon.intake, store=shown(settings.store.url))
        yield daemon


async def _open(url: str) -> tuple[SqlStore, "Cluster | None"]:
    if not is_server(url):
        return await open_sqlite(file_of(url)), None
    from notifier.adapters.stores.postgres import open_postgres  # noqa: PLC0415 -- its libraries take memory and time
    from notifier.app.cluster import Cluster  # noqa: PLC0415 -- as above

    store = await open_postgres(url)
    return store, Cluster(store, url)


async def _start(daemon: Daemon) -> None:
    try:
        await daemon.start()
    except BaseException as error:
        await daemon.stop()
        if isinstance(error, StoreUnavailableError):
            raise StartError(f"store.url: the store cannot be used: {error}") from error
        raise
