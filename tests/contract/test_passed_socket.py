"""The intake on a socket that somebody else opened, and its way from one daemon to the next."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from notifier.adapters.serving import HEAR_OUT_SECONDS, serve
from notifier.adapters.systemd import PassedSocket
from notifier.app.errors import StartError
from notifier.app.listening import Listener, open_listener
from notifier.config import IntakeSettings, SystemdListen, TokenSettings

REQUEST = b"GET / HTTP/1.1\r\nhost: intake\r\nconnection: close\r\n\r\n"


def intake(*tokens: str) -> IntakeSettings:
    settings = tuple(TokenSettings.model_validate({"name": token, "token": token}) for token in tokens)
    return IntakeSettings.model_construct(listen=SystemdListen(), tokens=settings)


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Two listening TCP sockets on loopback."""
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield opened
    for one in opened:
        one.close()


def passed(listener: socket.socket, name: str = "notifier.socket") -> PassedSocket:
    return PassedSocket(name, socket.dup(listener.fileno()))


def opened(settings: IntakeSettings, *sockets: PassedSocket) -> Listener:
    listener = open_listener(settings, sockets)
    assert listener is not None
    return listener


# Which socket


def test_the_only_one_is_taken_whatever_its_name(sockets: list[socket.socket]) -> None:
    """Its name is the unit's, as long as nobody gave it another."""
    listener = opened(intake(), passed(sockets[0]))
    with listener.socket:
        assert listener.where == f"127.0.0.1:{sockets[0].getsockname()[1]}"
        assert (listener.passed, listener.reach) == (True, "loopback")


def test_of_several_the_one_called_intake_is_taken(sockets: list[socket.socket]) -> None:
    """The others are there for somebody else."""
    other = passed(sockets[0], "other")
    listener = opened(intake(), other, passed(sockets[1], "intake"))
    with listener.socket, socket.socket(fileno=other.descriptor):
        assert listener.where.endswith(f":{sockets[1].getsockname()[1]}")


@pytest.mark.parametrize("names", [(), ("one", "two"), ("intake", "intake")])
def test_none_or_too_many_stop_the_start(sockets: list[socket.socket], names: tuple[str, ...]) -> None:
    """The message names what was passed, and what to do."""
    listeners = [PassedSocket(name, one.fileno()) for name, one in zip(names, sockets, strict=False)]
    with pytest.raises(StartError, match=r"intake\.listen: .*notifier\.socket.*FileDescriptorName=intake") as error:
        open_listener(intake(), listeners)
    assert all(name in str(error.value) for name in names or ["none"])


def test_what_does_not_listen_stops_the_start(tmp_path: Path) -> None:
    """A datagram socket, a connection that was accepted already (Accept=yes), and what is no socket at all."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection,
        (tmp_path / "file").open("w") as file,
    ):
        for one in (datagrams, connection):
            with pytest.raises(StartError, match=r"ListenStream= and Accept=no"):
                open_listener(intake(), [PassedSocket("intake", one.detach())])
        with pytest.raises(StartError, match="no socket"):
            open_listener(intake(), [PassedSocket("intake", file.fileno())])


def test_one_that_others_can_reach_needs_tokens() -> None:
    """Loopback and unix sockets do not; nobody knows before the socket is there."""
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        with pytest.raises(StartError, match=r"intake\.tokens: .*0\.0\.0\.0"):
            open_listener(intake(), [passed(everywhere)])
        listener = opened(intake("backend"), passed(everywhere))
        with listener.socket:
            assert listener.reach == "network"


# From one daemon to the next


def app(answer: str) -> ASGIApp:
    return PlainTextResponse(answer)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(REQUEST)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


async def test_nobody_is_turned_away_between_two_daemons(sockets: list[socket.socket]) -> None:
    """Who was accepted but asks only after the end has begun is answered; who comes meanwhile waits for the next."""
    listener, address = sockets[0], sockets[0].getsockname()
    async with serve(app("first"), socket.socket(fileno=socket.dup(listener.fileno())), grace=1, hand_over=True):
        early = await asyncio.open_connection(*address)
        assert b"first" in await ask(*await asyncio.open_connection(*address))  # so the early one was accepted, too
        asks_late = asyncio.create_task(_ask_later(early, HEAR_OUT_SECONDS * 0.75))
        comes_late = asyncio.create_task(_come_later(address, HEAR_OUT_SECONDS * 0.5))
    assert b"first" in await asks_late
    async with serve(app("second"), socket.socket(fileno=socket.dup(listener.fileno())), grace=1, hand_over=True):
        assert b"second" in await comes_late


async def _ask_later(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], seconds: float) -> bytes:
    await asyncio.sleep(seconds)
    return await ask(*connection)


async def _come_later(address: tuple[str, int], seconds: float) -> bytes:
    await asyncio.sleep(seconds)
    return await ask(*await asyncio.open_connection(*address))


async def test_who_never_asks_holds_the_end_up_for_a_second(sockets: list[socket.socket]) -> None:
    """A stop has 30 s for everything."""
    loop = asyncio.get_running_loop()
    async with serve(app("first"), socket.socket(fileno=socket.dup(sockets[0].fileno())), grace=1, hand_over=True):
        reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
        await ask(*await asyncio.open_connection(*sockets[0].getsockname()))
        began = loop.time()
    assert HEAR_OUT_SECONDS <= loop.time() - began < HEAR_OUT_SECONDS + 10
    assert await reader.read() == b""
    writer.close()
