"""The simulator on a real socket: serving inside a running loop, and the command in its own process."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
import yaml

from notifier.demo.serving import serve
from notifier.demo.simulator import Step, Studio, create_app

COMMAND = [sys.executable, "-c", "import typer; from notifier.cli.simulate import simulate; typer.run(simulate)"]
KEY = {"authorization": "Bearer any"}


@pytest.fixture
def studio():
    return Studio(duration=20)


@pytest.fixture
def app(studio):
    return create_app(studio, time.time)


async def test_port_0_becomes_a_real_port(app):
    """The URL that is told is the one that answers."""
    async with serve(app) as server, httpx.AsyncClient() as client:
        assert server.port > 0
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert (await client.get(f"{server.url}/v1/result/vid_1", headers=KEY)).json()["status"] == "queued"


async def test_ipv6_addresses_have_brackets(app):
    """An IPv6 host can be served and called."""
    if not socket.has_ipv6 or not _can_bind("::1"):
        pytest.skip("this machine has no IPv6 loopback")
    async with serve(app, "::1") as server, httpx.AsyncClient() as client:
        assert server.url == f"http://[::1]:{server.port}"
        assert (await client.get(f"{server.url}/simulator/stats")).status_code == 200


async def test_a_wildcard_is_told_as_an_address_to_call(app):
    """What is listened on at every address is called at loopback."""
    async with serve(app, "0.0.0.0") as server:
        assert server.url == f"http://0.0.0.0:{server.port}"
        assert server.callable_url == f"http://127.0.0.1:{server.port}"


async def test_a_taken_port_is_an_oserror(app):
    """Whoever serves learns at once that the address is taken."""
    async with serve(app) as server:
        with pytest.raises(OSError, match="in use"):
            async with serve(app, port=server.port):
                pass


async def test_the_port_is_free_afterwards(app):
    """Leaving the block closes the listener."""
    async with serve(app) as server:
        pass
    async with serve(app, port=server.port) as again:
        assert again.port == server.port


async def test_signals_stay_with_the_process(app):
    """Serving takes over no signal handler."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    async with serve(app):
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize("step", [Step(delay=3600), Step(drip=3600)])
async def test_leaving_does_not_wait_for_answers_in_progress(app, studio, step, caplog):
    """A delayed or dripping answer is cut off within a second, without a word in the log."""
    studio.script("slow", {"misbehave": (step,)}, time.time())
    async with httpx.AsyncClient() as client:
        async with serve(app) as server:
            poll = asyncio.create_task(client.get(f"{server.url}/v1/result/slow", headers=KEY, timeout=30))
            while studio.task("slow", 0)["polls"] == 0:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            leaving = time.monotonic()
        assert time.monotonic() - leaving < 3
        with pytest.raises(httpx.RemoteProtocolError):
            await poll
    assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []


async def test_kept_connections_do_not_hold_up_the_end(app):
    """An idle keep-alive connection is closed with the server."""
    async with httpx.AsyncClient() as client:
        async with serve(app) as server:
            await client.get(f"{server.url}/simulator/stats")
            leaving = time.monotonic()
        assert time.monotonic() - leaving < 3


def _can_bind(host):
    with contextlib.suppress(OSError), socket.create_server((host, 0), family=socket.AF_INET6):
        return True
    return False


@contextlib.contextmanager
def simulating(*flags):
    """The command in its own process, its first lines read; always ended."""
    environ = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*COMMAND, "--listen", "127.0.0.1:0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )
    try:
        welcome = ""
        while "Ctrl-C" not in welcome:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            welcome += line
        yield process, re.search(r"http://[\d.]+:\d+", welcome).group(), welcome
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_well_on_signals(number):
    """It serves, tells each poll in a line, and exits 0 when told to stop."""
    with simulating("--duration", "1h") as (process, url, _):
        told = httpx.get(f"{url}/v1/result/demo-1", headers=KEY).json()
        httpx.put(f"{url}/simulator/tasks/x%1By", json={"misbehave": [{"status": 503}]})
        httpx.get(f"{url}/v1/result/x%1By", headers=KEY)
        process.send_signal(number)
        output, errors = process.communicate(timeout=5)
    assert told["status"] == "queued"
    lines = [line for line in output.splitlines() if line]
    assert re.fullmatch(r"\d\d:\d\d:\d\d  demo-1  queued", lines[0])
    assert re.fullmatch(r"\d\d:\d\d:\d\d  x\ufffdy  HTTP 503", lines[1])
    assert (process.returncode, errors) == (0, "")


def test_the_command_can_be_quiet_and_choosy():
    """`--quiet` tells nothing per poll, `--api-key` refuses other keys, `--misbehave` spoils polls."""
    with simulating("--quiet", "--api-key", "k", "--misbehave", "418", "--one-in", "1") as (process, url, _):
        assert httpx.get(f"{url}/v1/result/demo-1", headers=KEY).status_code == 401
        assert httpx.get(f"{url}/v1/result/demo-1", headers={"authorization": "Bearer k"}).status_code == 418
        process.terminate()
        output, errors = process.communicate(timeout=5)
    assert (output.strip(), errors, process.returncode) == ("", "", 0)


def test_the_examples_it_prints_are_right():
    """The `curl` line can be run and the YAML can be pasted, both with the key that counts."""
    key = """it's "1": $HOME"""
    with simulating("--api-key", key) as (_, url, welcome):
        curl = next(line for line in welcome.splitlines() if "curl" in line)
        command = shlex.split(curl)
        if shutil.which("curl"):
            answer = subprocess.run([*command, "-sS"], capture_output=True, text=True, timeout=5, check=True)
            assert json.loads(answer.stdout)["id"] == "my-video"
        lines = welcome.splitlines()
        start = next(number for number, line in enumerate(lines) if "providers:" in line)
        example = yaml.safe_load("\n".join(lines[start : start + 5]))
    assert command == ["curl", "-H", f"Authorization: Bearer {key}", f"{url}/v1/result/my-video"]
    assert example == {"providers": {"videos": {"base_url": url, "api_key": key, "interval": "5s"}}}


def test_a_taken_port_is_one_line_and_exit_1():
    """The error names the address, the cause and what to do, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run([*COMMAND, "--listen", address], capture_output=True, text=True, timeout=10, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    host, port = address.split(":")
    assert ended.stderr == (
        f"notifier simulate: cannot listen on {host} port {port}: Address already in use;"
        " name another address with --listen\n"
    )


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--listen", "8480"], "HOST:PORT"),
        (["--listen", ":8480"], "HOST:PORT"),
        (["--listen", "127.0.0.1:65536"], "HOST:PORT"),
        (["--listen", "127.0.0.1:٨"], "HOST:PORT"),
        (["--duration", "soon"], "--duration"),
        (["--misbehave", "nicely"], "--misbehave"),
        (["--one-in", "0"], "--one-in"),
    ],
)
def test_wrong_usage_is_exit_2(flags, named):
    """A flag that cannot be understood is named, and nothing is served."""
    environ = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    ended = subprocess.run(
        [*COMMAND, *flags], capture_output=True, text=True, timeout=10, check=False, env=environ
    )
    assert ended.returncode == 2
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr
