"""Whatever stands between a paid job and its result, no preset takes it for the job's end."""

import json

import pytest

from notifier.domain.answer import Completed, Failed, Unauthorized
from notifier.domain.http_answer import HttpAnswer
from notifier.domain.reading import read, read_result
from tests.recorded import apis
from tests.unit.domain.test_recorded_answers import NOW, descriptions

STATUSES = (201, 202, 401, 402, 403, 404, 409, 422, 429, 500, 502, 503)
PAGES = [
    b"",
    b"ok",
    b"null",
    b"0",
    b'"completed"',
    b"\0\0\0",
    b'{"status": "completed", "id": ',
    b"<html><body>Please sign in</body></html>",
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    b"upstream connect error or disconnect/reset before headers",
    b"[" * 2000,
]
WORDS = [
    {},
    [],
    [{}],
    ["completed"],
    {"": ""},
    {"ok": True},
    {"success": True},
    {"success": False, "message": "Unauthorized"},
    {"code": 0, "message": "success"},
    {"code": 200, "msg": "success", "data": None},
    {"code": 200, "message": "ok", "data": {}},
    {"code": 401, "message": "Invalid API Key"},
    {"code": 402, "msg": "Insufficient Credits"},
    {"code": 429, "msg": "Too many requests"},
    {"code": 500, "msg": "Internal Server Error", "data": None},
    {"code": "500", "message": "Server exception", "data": {"error": {"code": 500, "message": "oops"}}},
    {"base_resp": {"status_code": 1000, "status_msg": "unknown"}},
    {"message": "API rate limit exceeded"},
    {"message": {"key": ["The key field is required."]}},
    {"messege": "Invalid Api Key"},
    {"error": "Too many requests"},
    {"error": {"code": 500, "message": "Internal error", "status": "INTERNAL"}},
    {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}},
    {"errors": [{"code": "concurrencyLimitExceeded", "status": "error", "message": "slow down"}]},
    {"errors": [{"code": "invalidApiKey", "message": "no"}]},
    {"errors": ["bad"], "id": "e", "name": "bad_request"},
    {"detail": "Not authenticated"},
    {"detail": "Request is still in progress"},
    {"title": "Unauthenticated", "status": 401},
    {"status": 500, "error": "Internal Server Error", "path": "/"},
    {"status": "ok"},
    {"status": "error", "message": "Try Again"},
    {"status": "Error", "messege": "Rate Limit exceeded"},
    {"status": "error", "error": {"message": "Unauthorized"}},
    {"state": "error", "details": {"error": "Insufficient Credits"}},
    {"status": "success", "message": "ok"},
    {"status": "completed", "id": "that-of-another", "task_id": "that-of-another"},
    {"data": {"status": "ok", "message": "success"}},
    {"output": {"code": "InternalError", "message": "oops"}},
    {"done": False, "error": {"message": "quota"}},
    {"maintenance": True, "retry_after": 60},
]
BODIES = PAGES + [json.dumps(words).encode() for words in WORDS]
WITHOUT_402 = {
    *("videos", "openai-video", "openai-batch", "openai-response", "azure-video", "gemini-veo", "vertex-veo", "comfyui")
}


def nasty_answers():
    """Each body with a success, a refusal and one other status, the next body with the next one."""
    for number, body in enumerate(BODIES):
        mime = "application/json" if body[:1] in (b"[", b"{") else "text/html; charset=utf-8"
        for status in (200, 400, 422, STATUSES[number % len(STATUSES)]):
            yield HttpAnswer(status, {"content-type": mime}, body)


@pytest.mark.parametrize("api", apis(), ids=lambda api: api.preset)
def test_no_preset_takes_trouble_for_an_end(api):
    """Error pages, empty answers, trouble with account, key or rate, and what is said of other tasks, at any status.
    Where a success wants a second answer, that one is as nasty; an object of it may be any model's result."""
    description = descriptions()[api.preset]
    values = description.values(api.task, api.variables)
    ends = Completed | Failed if description.result is None else Failed
    ended = []
    for heard in nasty_answers():
        answers = [read(description, heard, values, now=NOW).answer]
        if description.result is not None:
            answers.append(read_result(description, Completed("done", (), None), heard, values, now=NOW).answer)
        ended += [f"HTTP {heard.status} {heard.body[:80]!r}: {it}" for it in answers if isinstance(it, ends)]
    assert not ended, "\n".join(ended)


def test_an_account_that_has_run_dry_ends_nothing():
    """402 pauses the provider: three of them in a row would be the end of the task otherwise."""
    bodies = (b"", b"<html>", b"{}", b'{"status": "error", "message": "Payment required"}', b'{"detail": "no"}')
    for api in (one for one in apis() if one.preset not in WITHOUT_402):
        description = descriptions()[api.preset]
        values = description.values(api.task, api.variables)
        for body in bodies:
            answer = read(description, HttpAnswer(402, {}, body), values, now=NOW).answer
            assert isinstance(answer, Unauthorized), (api.preset, body)
