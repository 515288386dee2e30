import contextlib
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest

from notifier.adapters.archive import FileArchive, folder_archive
from notifier.adapters.http import NOWHERE, Downloads, Home
from tests.contract.archive.servers import MIB, Behaviour, file_server

LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
async def serve():
    """Start a server of one file: `server = await serve(behaviour)`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(behave: Behaviour):
            return await stack.enter_async_context(file_server(behave))

        yield start


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def waits() -> list[float]:
    """How long the archive would have waited between legs."""
    return []


@pytest.fixture
async def archive(root: Path, waits: list[float]):
    """Build one over `root`; waiting between legs takes no time."""
    async with contextlib.AsyncExitStack() as stack:

        async def build(
            *,
            guard: Callable[[], Sequence[object]] = lambda: LOOPBACK,
            home: Home = NOWHERE,
            max_size: int = 64 * MIB,
            timeout: float = 60,
            stall: float = 30,
            folder: Path = root,
        ) -> FileArchive:
            async def homes(_: str) -> Home:
                return home

            downloads = Downloads(guard=guard, stall=stall)
            built = folder_archive(folder, downloads=downloads, homes=homes, max_size=max_size, timeout=timeout)

            async def sleep(seconds: float) -> None:
                waits.append(seconds)

            built._sleep = sleep
            stack.push_async_callback(built.aclose)
            await built.start()
            return built

        yield build


def kept(root: Path) -> list[Path]:
    """Every file in the archive, whole or not."""
    return sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
