"""Results are saved before the receiver hears of them, by a real daemon, whatever happens meanwhile."""

import hashlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.acceptance.film_server import film, film_server, send, serve_film
from tests.acceptance.harness import DaemonProcess, Hook, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator


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


def test_whoever_is_told_at_once_hears_of_the_file_later(tmp_path: Path, receiver: ReceiverServer) -> None:
    """`notify: at_once`: two events with ids of their own; a watch that comes later is told once, of the saved file."""
    with film_server() as films, running(daemon := archiving(tmp_path, films, notify="at_once")):
        daemon.watch("vid_1", f"{receiver.url}/hook")
        wait_until(lambda: len(receiver.delivered()) == 2, "both webhooks")
        daemon.watch("vid_1", f"{receiver.url}/late")
        wait_until(lambda: receiver.at("/late"), "the late webhook")
        assert daemon.stop() == 0
    first, second = sorted(receiver.at("/hook"), key=lambda hook: hook.event["type"], reverse=True)
    assert (first.event["type"], first.event["data"]["files"][0]["location"]) == ("task.completed", None)
    check_saved(second, "vid_1", "result.saved")
    assert first.id != second.id
    (late,) = receiver.at("/late")
    assert late.event["data"]["files"] == second.event["data"]["files"]
    assert films.gets["vid_1"] == 1


def news(receiver: ReceiverServer) -> list[Hook]:
    return [hook for hook in receiver.delivered() if hook.event["type"] == "result.saved"]


def test_a_broken_file_server_holds_an_event_no_longer_than_said(tmp_path: Path, receiver: ReceiverServer) -> None:
    """After `wait` it goes out and says why there is no file; when there is one after all, that is told, also after a
    restart in between."""

    def serve(request, task_id, count):
        return serve_film(request, task_id, count) if well else send(request, 500, b"broken")

    well: list[bool] = []
    with film_server(serve) as films, running(daemon := archiving(tmp_path, films, wait="1s")):
        daemon.watch("vid_1", f"{receiver.url}/hook")
        wait_until(receiver.delivered, "the webhook without a file")
        daemon.kill()
        well.append(True)
        daemon.start()
        wait_until(lambda: news(receiver), "the webhook about the file")
        assert daemon.stop() == 0
    first, (second,) = receiver.hooks[0], news(receiver)  # the kill may have cost a repetition of the first
    (file,) = first.event["data"]["files"]
    assert (first.event["type"], file["location"]) == ("task.completed", None)
    assert "500" in file["error"]
    check_saved(second, "vid_1", "result.saved")


def test_a_reload_switches_saving_off_and_on(tmp_path: Path, receiver: ReceiverServer) -> None:
    """Whoever waits is told that archiving is switched off; what ends after it is on again is saved."""

    def serve(request, task_id, count):
        return serve_film(request, task_id, count) if well else send(request, 500, b"broken")

    well: list[bool] = []
    with film_server(serve) as films, running(daemon := archiving(tmp_path, films)):
        daemon.watch("vid_1", f"{receiver.url}/off")
        wait_until(lambda: daemon.events("result.delayed"), "the first try")
        archive = daemon.config.pop("archive")
        daemon.write()
        assert daemon.call("POST", "/v1/reload")[0] == 200
        wait_until(lambda: receiver.at("/off"), "the webhook without a file")
        well.append(True)
        daemon.config["archive"] = archive
        daemon.write()
        assert daemon.call("POST", "/v1/reload")[0] == 200
        daemon.watch("vid_2", f"{receiver.url}/on")
        wait_until(lambda: receiver.at("/on"), "the webhook with a file")
        assert daemon.stop() == 0
    (off,), (on,) = receiver.at("/off"), receiver.at("/on")
    assert off.event["data"]["files"][0]["error"] == "archiving is switched off"
    check_saved(on, "vid_2")


def test_a_start_without_the_archive_releases_what_was_held(tmp_path: Path, receiver: ReceiverServer) -> None:
    """Nobody waits for ever, whatever the file says after a crash."""
    broken = film_server(lambda request, *_: send(request, 500, b""))
    with broken as films, running(daemon := archiving(tmp_path, films)):
        daemon.watch("vid_1", f"{receiver.url}/hook")
        wait_until(lambda: daemon.events("result.delayed"), "the first try")
        daemon.kill()
        del daemon.config["archive"]
        daemon.write()
        daemon.start()
        wait_until(receiver.delivered, "the webhook without a file")
        assert daemon.stop() == 0
    (hook,) = receiver.hooks
    assert hook.event["data"]["files"][0]["error"] == "archiving is switched off"


def test_files_are_deleted_after_their_retention(tmp_path: Path, receiver: ReceiverServer) -> None:
    """Also when the watch was forgotten long before."""
    with film_server() as films:
        daemon = archiving(tmp_path, films, retention="3s")
        daemon.config["store"]["retention"] = "500ms"
        daemon.write()
        with running(daemon):
            watch = daemon.watch("vid_1", f"{receiver.url}/hook")
            (hook,) = wait_until(receiver.delivered, "the webhook")
            path = path_of(hook.event["data"]["files"][0]["location"])
            assert path.exists()
            wait_until(lambda: daemon.call("GET", f"/v1/watches/{watch['id']}")[0] == 404, "the watch is forgotten")
            wait_until(lambda: not path.exists(), "the file is deleted")
            assert daemon.stop() == 0


def test_the_simulator_has_files_to_save(tmp_path: Path, receiver: ReceiverServer) -> None:
    """Saving can be tried without a key: what `notifier simulate` names is there, and may be fetched at its origin."""
    simulator = Simulator(duration=1)
    config = {"providers": simulator.provider(), "archive": {"url": f"file://{tmp_path}/results"}}
    with running(simulator, daemon := DaemonProcess(tmp_path, config)):
        daemon.watch("vid_1", f"{receiver.url}/hook")
        (hook,) = wait_until(receiver.delivered, "the webhook")
        assert daemon.stop() == 0
    (file,) = hook.event["data"]["files"]
    assert (file["content_type"], file["error"]) == ("video/mp4", None)
    assert path_of(file["location"]).stat().st_size == file["size"]
    (ready,) = daemon.events("archive.ready")
    assert ready["location"] == f"file://{tmp_path}/results"
