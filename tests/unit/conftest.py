"""Unit tests open no socket and never wait for real time; what tries is told so."""

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import NoReturn

import pytest

_sleep = asyncio.sleep
LEAST_SECONDS = 0.001
"""Less than this is no wait, only a turn of the event loop."""


def _no_socket(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a unit test must not open a socket; use a fake, or move the test to tests/contract")


def _no_sleep(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a unit test must not sleep; advance a fake clock")


async def _only_yield(delay: float, result: object = None) -> object:
    if delay > LEAST_SECONDS:
        _no_sleep()
    return await _sleep(delay, result)


@pytest.fixture(autouse=True, scope="module")
def _hermetic() -> Iterator[None]:
    """For a whole module at once, for hypothesis does not reset fixtures between its examples."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "bind"):
            patch.setattr(socket.socket, name, _no_socket)
        patch.setattr(socket, "getaddrinfo", _no_socket)
        patch.setattr(time, "sleep", _no_sleep)
        patch.setattr(asyncio, "sleep", _only_yield)
        yield
