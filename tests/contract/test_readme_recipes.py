"""The README's recipes for verifying a webhook are what readers copy: they run here, word for word."""

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.domain.signature import Ed25519Key, HmacKey, public_jwk, sign
from tests.http_server import Request, http_server, send

README = (Path(__file__).parents[2] / "README.md").read_text()
BODY = b'{"type":"task.completed","data":{"task_id":"vid_1"}}'
SECRET = HmacKey(b"0123456789abcdef01234567")
OLD, NEW = Ed25519Key(bytes(range(32))), Ed25519Key(bytes(range(1, 33)))


def recipe(language: str, word: str) -> str:
    """The one code block in this language that has this word in it."""
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if word in code]
    return str(found)


def signed(*keys: HmacKey | Ed25519Key, body: bytes = BODY, at: int | None = None) -> dict[str, str]:
    stamp = int(time.time()) if at is None else at
    signature = sign(keys, "evt_1", stamp, body)
    return {"webhook-id": "evt_1", "webhook-timestamp": str(stamp), "webhook-signature": signature}


@pytest.fixture
def notifier_url() -> Iterator[str]:
    """Serves the key set as the intake does."""

    def serve_keys(request: Request) -> None:
        assert request.path == "/.well-known/webhook-keys"
        send(request, 200, json.dumps({"keys": [public_jwk(NEW), public_jwk(OLD)], "whpk": []}).encode())

    with http_server(serve_keys) as url:
        yield url


def test_the_ed25519_recipe_takes_our_webhooks_and_nothing_else(notifier_url: str) -> None:
    """Signed by either key, beside other signatures; not by a stranger's, nor another body, nor an old one."""
    names: dict[str, Any] = {}
    exec(recipe("python", "Ed25519PublicKey"), names)
    keys = names["fetch_keys"](notifier_url)
    for headers in (signed(NEW), signed(OLD), signed(SECRET, NEW, OLD)):
        assert names["verify"](keys, headers, BODY) == json.loads(BODY)
    old = signed(NEW, at=int(time.time()) - 400)
    stranger = signed(Ed25519Key(b"x" * 32))
    for headers, body in ((stranger, BODY), (signed(NEW), BODY + b" "), (signed(SECRET), BODY), (old, BODY)):
        with pytest.raises(ValueError, match=r"too old|no valid signature"):
            names["verify"](keys, headers, body)


def test_the_openssl_recipe_prints_our_signature(tmp_path: Path) -> None:
    """What stands behind `v1,`."""
    (tmp_path / "body.json").write_bytes(BODY)
    headers = signed(SECRET)
    given = {"id": headers["webhook-id"], "timestamp": headers["webhook-timestamp"]}
    given["WEBHOOK_SECRET"] = "whsec_" + base64.b64encode(SECRET.secret).decode()
    done = subprocess.run(
        ["bash", "-euc", recipe("sh", "openssl dgst")],
        env={"PATH": os.environ["PATH"], **given},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "v1," + done.stdout.strip() == headers["webhook-signature"]
