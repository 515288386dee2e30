"""The simulator's tasks and its record of polls, with the time as an argument."""

import json

from notifier.demo.simulator import Every, Honest, InOrder, Step, Studio
from notifier.demo.simulator.studio import MAX_TIMES


def status(studio, task_id, now):
    return json.loads(studio.poll(task_id, now).body).get("status")


def test_a_task_begins_when_it_is_first_asked_for():
    """Any id is known, and its story counts from its first poll."""
    studio = Studio(duration=20)
    assert studio.task("vid_1", 0) is None
    assert status(studio, "vid_1", 1000.0) == "queued"
    assert status(studio, "vid_1", 1009.0) == "processing"
    assert status(studio, "vid_1", 1030.0) == "completed"


def test_a_scripted_task_begins_when_it_is_scripted():
    """The named fields change, the others stay as the id has them; scripting again begins afresh."""
    studio = Studio(duration=20)
    studio.script("vid_fail", {"queued": 0, "processing": 3}, 100.0)
    assert status(studio, "vid_fail", 102.0) == "processing"
    assert status(studio, "vid_fail", 103.0) == "failed"
    studio.script("vid_fail", {"queued": 5, "outcome": "completed"}, 200.0)
    assert status(studio, "vid_fail", 200.0) == "queued"
    assert studio.task("vid_fail", 200.0)["polls"] == 1


def test_a_created_task_is_queued_under_an_id_of_its_own():
    """Ids made at the same moment differ, and the model asked for is told back."""
    studio = Studio(duration=20)
    first, second = studio.create("sora-2", 50.5), studio.create(None, 50.5)
    assert first["id"] != second["id"]
    assert (first["status"], first["model"], first["created"]) == ("queued", "sora-2", 50)
    assert second["model"] == "simulated-video-1"
    assert status(studio, first["id"], 90.0) == "completed"


def test_own_steps_come_before_the_rule_for_all():
    """A poll that a task's own step spoils uses up none of the common ones."""
    studio = Studio(duration=20)
    studio.script("own", {"misbehave": (Step(status=404),)}, 0.0)
    studio.misbehave(InOrder((Step(status=500),)), 0.0)
    assert [studio.poll("own", 0.0).http_status for _ in range(3)] == [404, 500, 200]


def test_a_rule_counts_from_when_it_was_set():
    """Setting a rule starts its count of polls afresh, and an honest one ends the trouble."""
    studio = Studio(duration=20)
    studio.poll("a", 0.0)
    studio.misbehave(Every(2, Step(status=500)), 1.0)
    assert [studio.poll("a", 1.0).http_status for _ in range(3)] == [200, 500, 200]
    studio.misbehave(Honest(), 2.0)
    assert studio.poll("a", 2.0).http_status == 200


def test_polls_after_the_end_are_counted():
    """Once the end was told each further poll is one too many, of this task and in total."""
    studio = Studio(duration=20)
    studio.script("a", {"queued": 0, "processing": 0}, 0.0)
    assert studio.poll("a", 1.0).ends
    studio.end_told("a", 1.0)
    studio.poll("a", 2.0)
    studio.end_told("a", 2.0)
    studio.poll("b", 2.0)
    task = studio.task("a", 2.0)
    assert (task["end_told_at"], task["polls_after_end"], task["polled_at"]) == (1.0, 1, [1.0, 2.0])
    assert studio.stats()["polls_after_end"] == 1


def test_an_end_that_nobody_heard_is_no_end():
    """A final answer that was not noted as sent does not make the next poll wrong."""
    studio = Studio(duration=20)
    studio.script("a", {"queued": 0, "processing": 0}, 0.0)
    studio.poll("a", 1.0)
    studio.poll("a", 2.0)
    assert studio.stats()["polls_after_end"] == 0


def test_stats_add_up():
    """Totals count all polls, the spoilt ones and those without a key; an empty step spoils nothing."""
    studio = Studio(duration=20, rule=InOrder((Step(status=500), Step())))
    for task_id in ("a", "a", "b"):
        studio.poll(task_id, 1.0)
    studio.refused()
    stats = studio.stats()
    assert (stats["polls"], stats["misbehaved"], stats["unauthorized"]) == (3, 1, 1)
    assert {task_id: task["polls"] for task_id, task in stats["tasks"].items()} == {"a": 2, "b": 1}


def test_the_record_of_times_is_bounded():
    """The latest times are kept, all polls are counted."""
    studio = Studio(duration=20)
    for second in range(MAX_TIMES + 5):
        studio.poll("stuck", float(second))
    task = studio.task("stuck", 0.0)
    assert (task["polls"], len(task["polled_at"]), task["polled_at"][0]) == (MAX_TIMES + 5, MAX_TIMES, 5.0)
