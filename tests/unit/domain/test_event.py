"""The message that an ended task owes."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.answer import Running, TaskError, clean_text
from notifier.domain.description import Description, Question
from notifier.domain.event import announce, announce_test, event_type
from notifier.domain.http_answer import HttpAnswer
from notifier.domain.link import Links, WatchLinks, link_key
from notifier.domain.reading import read
from notifier.domain.result_file import ResultFile
from notifier.domain.signature import HmacKey
from notifier.domain.task import End, Task
from notifier.domain.template import parse_template
from notifier.domain.watch import Watch
from tests.thoroughness import examples

NOW = datetime(2026, 11, 22, 13, 33, 0, 123456, tzinfo=UTC)
TASK = Task(
    key=1,
    provider="videos",
    task_id="vid_8f2c",
    interval=30.0,
    deadline_at=NOW,
    status="completed",
    response='{ "status":"completed" }',
    polls=5,
    end=End("completed", NOW, urls=("https://cdn.example/1.mp4",)),
)
WATCH = Watch(
    id="wch_1",
    provider="videos",
    task_id="vid_8f2c",
    callback_url="https://app.example.com/hook",
    state="completed",
    interval=None,
    registered_at=datetime(2026, 11, 22, 13, 30, tzinfo=UTC),
    deadline_at=NOW,
    ended_at=NOW,
    source="intake",
    metadata='{"order":1042}',
)
LINKS = WatchLinks(Links("https://notifier.example.com", 60.0, (link_key(HmacKey(b"k" * 32)),)), WATCH.id, NOW)


def body(task=TASK, watch=WATCH):
    return json.loads(announce(task, watch, "evt_1").body)


def test_an_event_says_everything_in_the_order_of_the_readme():
    """These members, this order, and the bytes are UTF-8 JSON without spaces of ours."""
    event = announce(TASK, WATCH, "evt_1")
    assert (event.id, event.type) == ("evt_1", "task.completed")
    assert event.body == (
        b'{"type":"task.completed","timestamp":"2026-11-22T13:33:00.123456Z","data":{"watch_id":"wch_1",'
        b'"provider":"videos","task_id":"vid_8f2c","status":"completed","urls":["https://cdn.example/1.mp4"],'
        b'"error":null,"reason":null,"polls":5,"registered_at":"2026-11-22T13:30:00.000000Z",'
        b'"expires_at":null,"refreshed_at":null,"files":[],'
        b'"response":{ "status":"completed" },"metadata":{"order":1042}}}'
    )


def test_the_timestamp_is_when_the_end_was_learned():
    """Not when the watch was registered or the event made."""
    earlier = datetime(2026, 11, 1, tzinfo=UTC)
    told = body(replace(TASK, end=replace(TASK.end, at=earlier)))
    assert told["timestamp"] == "2026-11-01T00:00:00.000000Z"


def test_a_failure_carries_its_error():
    """Code and message; the code may be missing."""
    failed = replace(TASK, status="FAILED", end=End("failed", NOW, error=TaskError(None, "too dark")))
    assert body(failed)["type"] == "task.failed"
    assert body(failed)["data"]["error"] == {"code": None, "message": "too dark"}
    assert (body(failed)["data"]["status"], body(failed)["data"]["urls"]) == ("FAILED", [])
    coded = replace(TASK, end=End("failed", NOW, error=TaskError("E7", "")))
    assert body(coded)["data"]["error"] == {"code": "E7", "message": ""}


@pytest.mark.parametrize("reason", ["deadline", "not_found", "refused"])
def test_an_abandoned_task_carries_its_reason(reason):
    """And the last status, which is null when nobody ever said one."""
    abandoned = replace(TASK, status=None, response=None, end=End("abandoned", NOW, reason=reason))
    told = body(abandoned)
    assert told["type"] == "task.abandoned"
    assert [told["data"][name] for name in ("reason", "status", "response", "urls", "error")] == [
        reason, None, None, [], None,
    ]  # fmt: skip


def test_what_came_from_outside_goes_out_byte_for_byte():
    """Numbers keep their digits and texts their escapes: nothing is parsed and written again."""
    task = replace(TASK, response='{"n":1.00, "big":123456789012345678901234567890,"x":"\\ud83d\\ude00\\u0000"}')
    event = announce(task, replace(WATCH, metadata='{"é":1e2,"k":0.10}'), "evt_1")
    assert b'"response":{"n":1.00, "big":123456789012345678901234567890,"x":"\\ud83d\\ude00\\u0000"}' in event.body
    assert '"metadata":{"é":1e2,"k":0.10}'.encode() in event.body


def test_a_task_that_goes_on_has_nothing_to_announce():
    """Asking all the same is our own fault, and said."""
    with pytest.raises(ValueError, match="goes on"):
        announce(replace(TASK, end=None), WATCH, "evt_1")


def test_each_end_has_its_type():
    """Three ways to end, three types."""
    types = [event_type(End(state, NOW)) for state in ("completed", "failed", "abandoned")]
    assert types == ["task.completed", "task.failed", "task.abandoned"]


def test_a_test_event_is_about_no_task():
    """Its type and time, and a sentence for people."""
    told = json.loads(announce_test(NOW))
    assert (told["type"], told["timestamp"]) == ("notifier.test", "2026-11-22T13:33:00.123456Z")
    assert "test event" in told["data"]["message"]


words = st.text(max_size=20).map(clean_text)
documents = st.dictionaries(
    st.text(max_size=5), st.none() | st.booleans() | st.text(max_size=8) | st.integers() | st.floats(), max_size=4
)


@given(documents, documents, words, words, st.lists(words, max_size=3).map(tuple), st.integers(0))
@settings(max_examples=examples(25), deadline=None)
def test_every_body_is_json_in_utf_8(answer, metadata, word, message, urls, polls):
    """Whatever a provider said and whatever the metadata is, receivers can parse it and find it unchanged."""
    raw = json.dumps(answer).encode("ascii")
    description = Description("https://api.example", Question(parse_template("/{task_id}", "path")))
    meant = read(description, HttpAnswer(200, {}, raw), {"task_id": "x"}, now=NOW).answer
    response = meant.response if isinstance(meant, Running) else None
    task = replace(
        TASK, status=word, response=response, polls=polls, end=End("failed", NOW, urls, TaskError(word, message))
    )
    kept = json.dumps({name: value for name, value in metadata.items() if value == value}, ensure_ascii=True)
    told = json.loads(announce(task, replace(WATCH, metadata=kept), "evt_1").body.decode("utf-8"))
    assert told["data"]["response"] == (None if response is None else answer)
    assert told["data"]["metadata"] == json.loads(kept)
    assert told["data"]["urls"] == list(urls)
    assert told["data"]["error"] == {"code": word, "message": message}


def test_a_saved_file_is_told_with_its_link():
    """Where links can be made, and as nothing else in the event changes."""
    saved = ResultFile(0, "https://cdn.example/1.mp4", "videos/x", state="saved", location="file:///x.mp4")
    task = replace(TASK, end=replace(TASK.end, files=(saved, replace(saved, n=1, state="pending", location=None))))
    plain = json.loads(announce(task, WATCH, "evt_1").body)
    linked = json.loads(announce(task, WATCH, "evt_1", links=LINKS).body)
    assert linked["data"]["files"][0].pop("link") == LINKS.to(0)
    assert linked == plain


def test_an_event_knows_when_its_links_end():
    """None without a link: there is nothing saved, or nobody can make one."""
    saved = ResultFile(0, "https://cdn.example/1.mp4", "videos/x", state="saved", location="file:///x.mp4")
    task = replace(TASK, end=replace(TASK.end, files=(saved,)))
    assert announce(task, WATCH, "evt_1", links=LINKS).links_expire_at == LINKS.expire_at
    assert announce(task, WATCH, "evt_1").links_expire_at is None
    assert announce(TASK, WATCH, "evt_1", links=LINKS).links_expire_at is None
