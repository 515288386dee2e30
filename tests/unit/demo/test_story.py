"""What an undisturbed simulated task answers, as of a given moment."""

from dataclasses import replace

import pytest

from notifier.demo.simulator.story import Story, status_after, truth, usual_story

STORY = Story(queued=2, processing=3, video_url="https://cdn.example.com/1.mp4")


@pytest.mark.parametrize(
    ("elapsed", "status"),
    [(-5, "queued"), (0, "queued"), (1.99, "queued"), (2, "processing"), (4.99, "processing"), (5, "completed")],
)
def test_phases_follow_one_another(elapsed, status):
    """A task is queued, then processing, then over, each from its first moment on."""
    assert status_after(STORY, elapsed) == status


@pytest.mark.parametrize(("queued", "processing", "status"), [(None, 0, "queued"), (0, None, "processing")])
def test_a_phase_without_a_length_never_ends(queued, processing, status):
    """None instead of seconds keeps a task where it is."""
    assert status_after(Story(queued=queued, processing=processing), 1e9) == status


def test_running_answer_has_exactly_the_documented_fields():
    """Before the end there is neither a result nor an error, and `created` is in whole seconds."""
    assert truth("vid_1", STORY, 1000.7, 1001.0) == {
        "id": "vid_1",
        "object": "video",
        "created": 1000,
        "model": "simulated-video-1",
        "status": "queued",
    }


def test_completed_answer_has_the_result():
    """A completed task tells where its video is and how long it plays."""
    told = truth("vid_1", STORY, 1000, 1005)
    assert (told["status"], told["video_url"], told["actualDuration"]) == (
        "completed",
        "https://cdn.example.com/1.mp4",
        10,
    )
    assert "error" not in told


@pytest.mark.parametrize("error", ["out of credits", {"message": "no faces", "code": "policy"}])
def test_failed_answer_has_the_error_as_it_was_ordered(error):
    """A failed task's error is a string or an object, and there is no result."""
    told = truth("vid_1", Story(0, 0, outcome="failed", error=error, video_url="https://x"), 0, 0)
    assert (told["status"], told["error"]) == ("failed", error)
    assert not {"video_url", "actualDuration"} & told.keys()


def test_nulls_leave_the_field_out():
    """A completed task can lack its URL and a failed one its error."""
    assert "video_url" not in truth("v", Story(0, 0, video_url=None), 0, 0)
    assert "error" not in truth("v", Story(0, 0, outcome="failed", error=None), 0, 0)


def test_usual_length_is_spread_by_id_and_repeatable():
    """An unscripted task takes the duration ±50 %, different for different ids, the same for the same id."""
    lengths = [story.queued + story.processing for story in (usual_story(f"vid_{n}", 20) for n in range(200))]
    assert 10 <= min(lengths) < 12
    assert 28 < max(lengths) < 30
    assert usual_story("vid_7", 20) == usual_story("vid_7", 20)


def test_words_in_the_id_change_the_story():
    """`fail`, `stuck`, `nourl`, `missing` and `flaky` do what they say, in any case and combined."""
    assert usual_story("vid_1", 20).outcome == "completed"
    assert usual_story("demo-FAIL-1", 20).outcome == "failed"
    assert usual_story("stuck", 20).processing is None
    assert usual_story("nourl", 20).video_url is None
    assert usual_story("missing", 20).misbehave[0].status == 404
    both = usual_story("flaky-fail", 20)
    assert both.outcome == "failed"
    assert [step.status for step in both.misbehave] == [503, None, 429]


def test_result_url_is_valid_for_any_id():
    """The made-up result URL percent-encodes what an id may hold, and leads to where the simulator was called."""
    story = replace(usual_story("a/b ü?", 20), queued=0, processing=0)
    told = truth("a/b ü?", story, 0, 0, origin="http://sim:1")
    assert told["video_url"] == "http://sim:1/files/a%2Fb%20%C3%BC%3F.mp4"


def test_a_url_that_was_ordered_stays_as_it_is():
    """Only a path is the simulator's own."""
    assert truth("v", Story(0, 0, video_url="https://x/"), 0, 0, origin="http://sim:1")["video_url"] == "https://x/"
