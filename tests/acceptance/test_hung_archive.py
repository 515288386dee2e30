"""An archive whose disk hangs: events go out all the same, and the daemon ends in time."""

import time
from pathlib import Path

from tests.acceptance.film_server import film_server
from tests.acceptance.harness import ReceiverServer, running, wait_until
from tests.acceptance.test_archive import archiving

HANGING = """
import os, threading
fsync = os.fsync
def hang(descriptor):
    if "/results" in os.readlink(f"/proc/self/fd/{descriptor}"):
        threading.Event().wait()
    fsync(descriptor)
os.fsync = hang
"""
"""As a mounted disk whose server is gone; the store's is another."""


def test_a_disk_that_hangs_keeps_no_daemon_from_ending(tmp_path: Path, receiver: ReceiverServer) -> None:
    """Nobody waits for ever: neither the receiver, nor other files, nor who stops the daemon."""
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(HANGING)
    with film_server() as films:
        daemon = archiving(tmp_path, films, wait="1s", timeout="1s")
        daemon.environment["PYTHONPATH"], daemon.fresh = str(patch), True
        with running(daemon):
            daemon.watch("vid_1", f"{receiver.url}/hook")
            wait_until(receiver.delivered, "the webhook")
            wait_until(lambda: daemon.events("archive.unavailable"), "the word that the archive does not take files")
            began = time.monotonic()
            assert daemon.stop() == 0
            assert time.monotonic() - began < 30
    (hook,) = receiver.hooks
    assert hook.event["data"]["files"][0]["location"] is None
