"""The running intake against its own OpenAPI document, with requests that a generator makes up."""

import re
import subprocess
import sys
from pathlib import Path

from tests.acceptance.harness import TOKEN, DaemonProcess, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator
from tests.thoroughness import CI

EXAMPLES_PER_CALL, LEAST_EXAMPLES = (200, 3000) if CI else (20, 250)
"""The thorough run belongs to CI: 40 make 1,440 requests, which take a core for a quarter of a minute."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)


def known_ids(daemon: DaemonProcess) -> dict[str, str]:
    """A watch that ended and its delivery: what the made-up requests find behind the ids of their paths."""
    watch = wait_until(
        lambda: next(iter(daemon.call("GET", "/v1/watches?state=completed")[1]["watches"]), None), "a task has ended"
    )
    return {"path.watch_id": watch["id"], "path.delivery_id": watch["delivery"]["id"]}


def test_no_request_gets_a_server_error_or_an_answer_that_is_not_documented(tmp_path: Path, record_property) -> None:
    """Status, media type, headers and body of every answer are as the document says, for thousands of requests, some of
    which the document allows and some of which it does not."""
    simulator, receiver = Simulator(), ReceiverServer()
    quick = {"timeout": "500ms", "retry": [], "allow_networks": ["127.0.0.0/8"]}
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider(), "webhooks": quick, "log": {"level": "info"}})
    with running(simulator, daemon):
        simulator.script("vid_1", queued=0, processing=0)
        daemon.watch("vid_1", receiver.url + "/hook")
        parameters = "\n".join(f'"{name}" = "{value}"' for name, value in known_ids(daemon).items())
        (tmp_path / "schemathesis.toml").write_text(f"[parameters]\n{parameters}\n")
        tested = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "schemathesis"), "run", daemon.url + "/openapi.json"),
                *("--header", f"Authorization: Bearer {TOKEN}"),
                *("--checks", ",".join(CHECKS)),
                *("--max-examples", str(EXAMPLES_PER_CALL), "--seed", "1"),
                *("--generation-database", "none", "--continue-on-failure", "--no-color"),
            ],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert tested.returncode == 0, tested.stdout[-8000:] + tested.stderr[-2000:]
        (count,) = re.findall(r"(\d+) generated, \d+ passed", tested.stdout)
        record_property("figure", f"{count} made-up requests, every answer as documented")
        assert int(count) >= LEAST_EXAMPLES
        assert daemon.stop() == 0
        faults = [line for line in daemon.lines() if line.get("level") == "critical" or "exception" in line]
        assert faults == []
    receiver.close()
