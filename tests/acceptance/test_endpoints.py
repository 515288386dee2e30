"""Registered endpoints in a real daemon: whose secret signs what, through rotation, reload, restart and kill -9."""

import stat
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from notifier.domain.signature import Ed25519Key, new_private_key, new_secret, parse_secret, public_key
from notifier.logs import MASK
from tests.acceptance.harness import SECRET, DaemonProcess, Hook, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator

THEIRS = new_secret(b"t" * 32)
IN_FILE = new_secret(b"f" * 32)


def register(daemon: DaemonProcess, url: str, **members: Any) -> dict[str, Any]:
    status, endpoint = daemon.call("POST", "/v1/endpoints", {"url": url, **members})
    assert status == 201, endpoint
    return dict(endpoint)


def signers(hook: Hook, secrets: dict[str, str]) -> set[str]:
    """Whose secrets a foreign library verifies this request with."""
    found = set()
    for name, secret in secrets.items():
        try:
            Webhook(secret).verify(hook.body, hook.headers)
        except WebhookVerificationError:
            continue
        found.add(name)
    return found


def tell(
    daemon: DaemonProcess, simulator: Simulator, receiver: ReceiverServer, task_id: str, path: str, **story: Any
) -> Hook:
    """Watch a task that ends at once, and wait for the request that tells of it."""
    before = len(receiver.at(path))
    simulator.script(task_id, queued=0, processing=0, **story)
    daemon.watch(task_id, receiver.url + path)
    wait_until(lambda: len(receiver.at(path)) > before, f"{path} is told of {task_id}")
    return receiver.at(path)[-1]


def test_every_integrator_verifies_with_its_own_secret_and_no_other(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """Two integrators and everybody else, before and after a rotation, a kill -9 and a restart; the store's files are
    for their owner only, and no secret is in the log or in an answer."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        made = register(daemon, f"{receiver.url}/ours")
        register(daemon, f"{receiver.url}/theirs", secret=THEIRS, headers={"X-Env": "pass-planted"})
        assert daemon.call("POST", "/v1/endpoints", {"url": f"{receiver.url}/ours"})[0] == 409
        secrets = {"ours": made["secret"], "theirs": THEIRS, "global": SECRET}
        daemon.kill()  # a 201 is on disk
        daemon.start()
        for path, signer in (("/ours", "ours"), ("/theirs", "theirs"), ("/else", "global")):
            hook = tell(daemon, simulator, receiver, f"first-{signer}", path)
            assert signers(hook, secrets) == {signer}
            assert hook.headers.get("x-env") == ("pass-planted" if signer == "theirs" else None)
        status, rotated = daemon.call("PATCH", f"/v1/endpoints/{made['id']}", {"rotate": True})
        assert status == 200
        secrets["new"] = rotated["secret"]
        assert signers(tell(daemon, simulator, receiver, "rotated", "/ours"), secrets) == {"ours", "new"}
        modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("notifier.db*")}
        assert (daemon.stop(), modes) == (0, {0o600})
    with running(daemon):
        assert signers(tell(daemon, simulator, receiver, "again", "/ours"), secrets) == {"ours", "new"}
        tell(daemon, simulator, receiver, secrets["new"], "/else")  # a task's id is logged, and this one must not be
        assert [line["task_id"] for line in daemon.events("watch.registered")][-1] == MASK
        shown = str(daemon.call("GET", "/v1/endpoints")[1])
        assert daemon.call("DELETE", f"/v1/endpoints/{made['id']}")[0] == 204
        assert signers(tell(daemon, simulator, receiver, "deleted", "/ours"), secrets) == {"global"}
        told = shown + daemon.log.read_text()
        assert [secret for secret in (*secrets.values(), "pass-planted") if secret in told] == []


def test_an_endpoint_is_told_what_it_wants_to_hear(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """An event that its `events` do not list leaves no delivery."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        register(daemon, f"{receiver.url}/failures", events=["task.failed"])
        simulator.script("good", queued=0, processing=0)
        watch = daemon.watch("good", f"{receiver.url}/failures")
        hook = tell(daemon, simulator, receiver, "bad", "/failures", outcome="failed")
        assert hook.event["type"] == "task.failed"
        wait_until(lambda: daemon.call("GET", f"/v1/watches/{watch['id']}")[1]["state"] == "completed", "good ended")
        assert daemon.call("GET", f"/v1/watches/{watch['id']}")[1]["delivery"] is None
        assert len(receiver.hooks) == 1


def test_the_file_comes_before_what_was_registered(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """From the reload that brings it to the reload that takes it away; the log says so, and public keys follow."""
    url, key = f"{receiver.url}/hook", new_private_key(b"k" * 32)
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        endpoint = register(daemon, url, secrets=[THEIRS, key])
        parsed = parse_secret(key)
        assert isinstance(parsed, Ed25519Key)
        assert daemon.call("GET", "/.well-known/webhook-keys")[1]["whpk"] == [public_key(parsed)]
        secrets = {"registered": THEIRS, "file": IN_FILE, "global": SECRET}
        daemon.config["endpoints"] = [{"url": url, "secret": IN_FILE, "rate": "100/s", "concurrency": 2}]
        daemon.write()
        assert daemon.call("POST", "/v1/reload")[0] == 200
        (shadowed,) = daemon.events("endpoint.shadowed")
        assert (shadowed["endpoint_id"], shadowed["level"]) == (endpoint["id"], "warning")
        assert signers(tell(daemon, simulator, receiver, "under", "/hook"), secrets) == {"file"}
        assert daemon.call("GET", "/.well-known/webhook-keys")[1]["whpk"] == []
        listed = daemon.call("GET", "/v1/endpoints")[1]["endpoints"]
        assert [(each["source"], each["rate"]) for each in listed] == [("config", 100), ("intake", None)]
        for method, body in (("PATCH", {"rotate": True}), ("DELETE", None)):
            assert daemon.call(method, f"/v1/endpoints/{listed[0]['id']}", body)[0] == 409
        del daemon.config["endpoints"]
        daemon.write()
        assert daemon.call("POST", "/v1/reload")[0] == 200
        assert signers(tell(daemon, simulator, receiver, "back", "/hook"), secrets) == {"registered"}
