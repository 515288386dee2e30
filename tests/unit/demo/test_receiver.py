"""The demo's receiver, without a socket and with a clock of our own."""

import json

import httpx
import pytest

from notifier.demo.receiver import Conduct, Receiver
from notifier.domain.signature import Invalid, Valid, parse_secret, sign

KEY = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OTHER = parse_secret("whsec_" + "A" * 32)
NOW = 1_700_000_000
BODY = json.dumps({"type": "task.completed"}).encode()


def headers(key=KEY, at=NOW, body=BODY):
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(at),
        "webhook-signature": sign([key], "evt_1", at, body),
        "content-type": "application/json",
    }


def receiver(**options):
    return Receiver([KEY], lambda: NOW + 0.5, **options)


async def post(app, path="/hook", **options):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://receiver") as client:
        return (await client.post(path, **({"content": BODY, "headers": headers()} | options))).status_code


async def test_a_message_that_verifies_is_accepted_and_recorded():
    """It gets a 2xx, is kept as it came, and is heard of before it is answered."""
    heard = []
    app = receiver(on_event=heard.append)
    assert await post(app) == 204
    (received,) = app.received
    assert heard == [received]
    assert (received.at, received.path, received.body, received.status) == (NOW + 0.5, "/hook", BODY, 204)
    assert (received.verdict, received.accepted) == (Valid(), True)
    assert (received.event_id, received.event) == ("evt_1", {"type": "task.completed"})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"headers": headers(OTHER)}, "mismatch"),
        ({"content": BODY + b" "}, "mismatch"),
        ({"headers": headers(at=NOW - 301)}, "too_old"),
        ({"headers": {}}, "id"),
    ],
)
async def test_a_message_that_does_not_verify_is_refused(options, reason):
    """A wrong key, a changed body, an old timestamp or no signature get a 401, and the verdict says why."""
    app = receiver()
    assert await post(app, **options) == 401
    (received,) = app.received
    assert isinstance(received.verdict, Invalid)
    assert (received.verdict.reason, received.accepted) == (reason, False)


async def test_a_path_can_be_down_at_first():
    """The first requests get a 503 whatever they hold, later ones are accepted, other paths are not touched."""
    app = receiver(conduct={"/down": Conduct(down_for=2)})
    assert [await post(app, "/down") for _ in range(3)] == [503, 503, 204]
    assert await post(app, "/up") == 204
    assert [received.accepted for received in app.received] == [False, False, True, True]


async def test_a_path_can_answer_a_status():
    """A message that verifies gets the status told; one that does not is still a 401."""
    app = receiver(conduct={"/gone": Conduct(status=410)})
    assert await post(app, "/gone") == 410
    assert await post(app, "/gone", headers={}) == 401


async def test_conduct_can_change_later():
    """A new conduct replaces the old one and counts requests from then on."""
    app = receiver()
    assert await post(app) == 204
    app.behave("/hook", Conduct(down_for=1, status=200))
    assert [await post(app), await post(app)] == [503, 200]


@pytest.mark.parametrize("body", [b"", b"[1]", b"{broken", b"\xff"])
async def test_a_body_that_is_no_event_is_recorded_without_one(body):
    """Whatever arrives is kept; it is no event unless it is a JSON object."""
    app = receiver()
    await post(app, content=body)
    assert (app.received[0].body, app.received[0].event) == (body, None)


async def test_only_posts_are_taken():
    """Another method is a 405 and is not recorded."""
    app = receiver()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://receiver") as client:
        assert (await client.get("/hook")).status_code == 405
    assert app.received == []
