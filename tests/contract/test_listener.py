"""The intake's listening socket when the process has no file descriptors left."""

import asyncio
import errno
import os
import socket

import pytest
from structlog.testing import capture_logs

from notifier.adapters.listener import PatientListener, patient


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server, patient(server) as listener:
        yield listener


class Descriptors:
    """`gone`: there are none to accept a connection with."""

    def __init__(self, monkeypatch) -> None:
        self.gone = False
        self.asked = 0
        accept = socket.socket.accept

        def scarce(listener):
            self.asked += 1
            if self.gone:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return accept(listener)

        monkeypatch.setattr(socket.socket, "accept", scarce)


async def test_a_lack_of_descriptors_is_told_once_and_waited_out(listener, monkeypatch):
    """Callers are let in when there are some again, and until then nothing spins."""
    descriptors = Descriptors(monkeypatch)
    faults, served = [], asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["message"]))

    async def serve(_, writer):
        served.set()
        writer.close()

    descriptors.gone = True
    server = await asyncio.start_server(serve, sock=listener, backlog=2048)
    with capture_logs() as lines:
        _, writer = await asyncio.open_connection(*listener.getsockname())
        await asyncio.sleep(2.5)
        asked = descriptors.asked
        descriptors.gone = False
        await asyncio.wait_for(served.wait(), 10)
    assert asked <= 12
    assert set(faults) == {"socket.accept() out of system resource"}
    assert [line["event"] for line in lines] == ["intake.exhausted", "intake.recovered"]
    assert "LimitNOFILE" in lines[0]["hint"]
    writer.close()
    server.close()


def test_other_errors_are_not_swallowed(listener, monkeypatch):
    """What is no lack of resources is the loop's affair."""

    def fail(_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(socket.socket, "accept", fail)
    with capture_logs() as lines, pytest.raises(OSError, match="Invalid"):
        listener.accept()
    assert lines == []


def test_it_is_the_same_socket() -> None:
    """Who connects to the original is accepted here, also after that was closed."""
    server = socket.create_server(("127.0.0.1", 0))
    address = server.getsockname()
    with patient(server) as listener:
        server.close()
        assert isinstance(listener, PatientListener)
        with socket.create_connection(address), listener.accept()[0] as accepted:
            assert accepted.getsockname() == address
