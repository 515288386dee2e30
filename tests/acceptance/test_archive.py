"""Results are saved before the receiver hears of them, by a real daemon, whatever happens meanwhile."""

import hashlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.acceptance.film_server import film, film_server
from tests.acceptance.harness import DaemonProcess, Hook, ReceiverServer, running, wait_until


def archiving(tmp_path: Path, films, **archive) -> DaemonProcess:
    config = {"providers": films.provider(), "archive": {"url": f"file://{tmp_path}/results", **archive}}
    return DaemonProcess(tmp_path, config)


def path_of(location: str) -> Path:
    return Path(unquote(urlsplit(location).path))


def check_saved(hook: Hook, task_id: str, kind: str = "task.completed") -> None:
    """The event names the file, and the file is the one that it describes."""
    event = hook.event
    assert event["type"] == kind
    (file,) = event["data"]["files"]
    content = path_of(file["location"]).read_bytes()
    assert content == film(task_id)
    assert (file["size"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (file["content_type"], file["error"]) == ("video/mp4", None)
    assert file["saved_at"] is not None
    assert path_of(file["location"]).name == f"{event['data']['watch_id']}-0.mp4"


def test_an_event_carries_its_file(tmp_path: Path, receiver: ReceiverServer) -> None:
    """The event comes once, after its file was saved, and says where it is and what is in it."""
    with film_server() as films, running(daemon := archiving(tmp_path, films)):
        watch = daemon.watch("vid_1", f"{receiver.url}/hook")
        wait_until(receiver.delivered, "the webhook")
        assert daemon.stop() == 0
    (hook,) = receiver.hooks
    check_saved(hook, "vid_1")
    assert path_of(hook.event["data"]["files"][0]["location"]) == (
        tmp_path / "results" / "videos" / "vid_1" / f"{watch['id']}-0.mp4"
    )
    (line,) = daemon.events("result.saved")
    assert line["sha256"] == hook.event["data"]["files"][0]["sha256"]
