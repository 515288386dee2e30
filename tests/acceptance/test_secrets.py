"""Planted secrets, and a search for them in everything that the daemon says."""

import base64
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.acceptance.harness import DaemonProcess, ReceiverServer, call, free_port, running, wait_until
from tests.acceptance.simulator import Simulator

PLANTED = {
    "api key": "planted-api-key-Zq81",
    "token": "planted-token-Zq82",
    "wrong token": "planted-wrong-token-Zq83",
    "signing secret": "whsec_" + base64.b64encode(b"planted-global-secret-Zq84").decode(),
    "endpoint secret": "whsec_" + base64.b64encode(b"planted-endpoint-secret-Zq85").decode(),
    "malformed secret": "whsec_planted-malformed-Zq86!",
    "header": "planted-header-Zq87",
    "query": "planted-query-Zq88",
}


def configuration(simulator: Simulator, receiver: ReceiverServer) -> dict[str, Any]:
    endpoint = {
        "url": f"{receiver.url}/own?k={PLANTED['query']}",
        "secrets": [PLANTED["endpoint secret"]],
        "headers": {"X-Auth": PLANTED["header"]},
    }
    return {
        "intake": {"tokens": [{"name": "tests", "token": PLANTED["token"]}]},
        "providers": simulator.provider(api_key=PLANTED["api key"]) | {"gone": unreachable()},
        "webhooks": {"secret": PLANTED["signing secret"], "timeout": "500ms", "retry": ["100ms"]},
        "endpoints": [endpoint],
    }


def unreachable() -> dict[str, Any]:
    url = f"http://127.0.0.1:{free_port()}"
    return {"preset": "videos", "base_url": url, "api_key": PLANTED["api key"], "interval": "200ms"}


def everything_said(daemon: DaemonProcess) -> dict[str, str]:
    """Each answer of the intake and each command's output, by its name. Callback URLs themselves are what their owner
    wrote, and nobody without a token sees them: they are taken out, where they stand as such."""

    def ask(path: str) -> str:
        return json.dumps(daemon.call("GET", path, token=PLANTED["token"])[1])

    said = {}
    for path in ("/v1/watches", "/v1/deliveries", "/v1/endpoints", "/metrics", "/readyz", "/openapi.json", "/healthz"):
        said[path] = ask(path)
    for kind in ("watches", "deliveries"):
        for found in re.findall(r'"id": "(\w+)"', said[f"/v1/{kind}"]):
            said[f"/v1/{kind}/{found}"] = ask(f"/v1/{kind}/{found}")
    said = {name: re.sub(r'"(callback_)?url": "[^"]*"', "", text) for name, text in said.items()}
    for family in ("watch", "delivery"):
        table = command(daemon, family, "list")
        assert "vid_0" in table or "evt_" in table, table
        said[f"notifier {family} list"] = re.sub(r" http://127\.0\.0\.1:\d+/\w+\?\S+", "", table)
    return said


def command(daemon: DaemonProcess, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "notifier", *arguments, "--config", str(daemon.config_file)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200"},
    )
    return done.stdout + done.stderr


def provoke(daemon: DaemonProcess, simulator: Simulator, receiver: ReceiverServer) -> None:
    """Everything that can go wrong with something secret in its hands."""
    query = PLANTED["query"]
    simulator.script("refused", misbehave=[{"status": 401, "body": json.dumps({"error": PLANTED["api key"]})}])
    simulator.script("broken", misbehave=[{"body": PLANTED["api key"]}] * 3)
    hooks = [f"{receiver.url}/{name}?k={query}" for name in ("own", "down", "moved", "slow")]
    hooks.append(f"http://127.0.0.1:{free_port()}/nobody?k={query}")
    for number, hook in enumerate(hooks):
        simulator.script(f"vid_{number}", queued=0, processing=0)
        daemon.call("POST", "/v1/watches", _watch(f"vid_{number}", hook), token=PLANTED["token"])
        daemon.call("POST", "/v1/endpoints/test", {"callback_url": hook}, token=PLANTED["token"])
    for task_id in ("refused", "broken"):
        daemon.call("POST", "/v1/watches", _watch(task_id, hooks[0]), token=PLANTED["token"])
    daemon.call("POST", "/v1/watches", _watch("lost", hooks[0], provider="gone"), token=PLANTED["token"])
    for wrong in (f"http://10.0.0.1/x?k={query}", f"https://u:{query}@a.example/", f"ftp://a.example/?{query}", query):
        status, answer = daemon.call("POST", "/v1/watches", _watch("vid_9", wrong), token=PLANTED["token"])
        assert (status, query in json.dumps(answer)) == (422, False), answer
    call(daemon.url, "GET", f"/v1/watches?{query}={query}", token=PLANTED["wrong token"])
    call(daemon.url, "GET", f"/v1/nothing?{query}", token=PLANTED["token"])


def _watch(task_id: str, url: str, provider: str = "videos") -> dict[str, Any]:
    return {"task_id": task_id, "callback_url": url, "provider": provider}


def answer(path: str, count: int) -> Any:
    if path.startswith("/moved"):
        return 302, {"location": f"https://elsewhere.example/?k={PLANTED['query']}"}
    if path.startswith("/slow"):
        time.sleep(1.0)  # longer than an attempt may take
    return 500 if path.startswith("/down") else 204


def test_no_secret_is_found_in_anything_that_the_daemon_says(tmp_path: Path) -> None:
    """Neither keys, tokens, signing secrets, headers nor query strings: in log lines at level debug, answers, metrics,
    errors of wrong requests and wrong configurations, or the output of commands."""
    simulator, receiver = Simulator(), ReceiverServer(answer)
    daemon = DaemonProcess(tmp_path, configuration(simulator, receiver))
    with running(simulator, daemon):
        provoke(daemon, simulator, receiver)
        wait_until(lambda: len(daemon.events("delivery.exhausted")) >= 3, "attempts have failed")
        wait_until(lambda: daemon.events("provider.paused"), "the provider has refused the key")
        said = everything_said(daemon)
        daemon.config["webhooks"]["secret"] = PLANTED["malformed secret"]
        daemon.config["intake"]["tokens"].append({"name": "tests", "token": PLANTED["token"], "tokn": PLANTED["token"]})
        daemon.write()
        assert daemon.call("POST", "/v1/reload", token=PLANTED["token"])[0] == 422
        said["check"] = command(daemon, "check")
        assert daemon.stop() == 0
        said["log"] = daemon.log.read_text()
    receiver.close()
    assert len(said["log"].splitlines()) > 30
    secrets = {what: secret.removeprefix("whsec_") for what, secret in PLANTED.items()}
    assert [(what, where) for what, secret in secrets.items() for where, text in said.items() if secret in text] == []


def test_a_token_that_a_provider_s_command_prints_is_in_no_log_line(tmp_path: Path) -> None:
    """Though no configuration holds it, and the provider says it back as a status."""
    token = "planted-printed-Zq89"
    simulator, receiver = Simulator(), ReceiverServer(answer)
    providers = simulator.provider()
    providers["videos"]["auth"] = {"command": [sys.executable, "-c", f"print({token!r})"]}
    daemon = DaemonProcess(tmp_path, {"providers": providers, "webhooks": {"secret": PLANTED["signing secret"]}})
    with running(simulator, daemon):
        simulator.script("echo", misbehave=[{"body": json.dumps({"id": "echo", "status": token})}] * 3)
        daemon.call("POST", "/v1/watches", _watch("echo", f"{receiver.url}/own"))
        wait_until(lambda: daemon.events("status.unknown"), "the provider has said the token")
        assert daemon.stop() == 0
    receiver.close()
    assert [event["status"] for event in daemon.events("status.unknown")] == ["***"]
    assert token not in daemon.log.read_text()
