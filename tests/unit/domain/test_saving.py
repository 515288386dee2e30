"""Which files are saved under which names, and what each try makes of one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.answer import Completed
from notifier.domain.result_file import ResultFile
from notifier.domain.saving import (
    LONGEST_WAIT_SECONDS,
    SWITCHED_OFF,
    folder_of,
    kept,
    missed,
    named,
    news_of,
    next_due,
    pending,
    planned,
    renewed,
    switched_off,
    until_next_try,
    wait_after,
    with_file,
)
from notifier.domain.task import End, Task

NOW = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)
URLS = ("https://cdn.example/1.mp4", "https://cdn.example/2.mp4")
GOING_ON = Task(7, "videos", "vid_1", interval=30.0, deadline_at=NOW + timedelta(days=1))
DONE = replace(GOING_ON, status="completed", response="{}", end=End("completed", NOW, urls=URLS))


def in_seconds(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_every_url_is_a_file_that_is_due_at_once():
    """In the folder of the task, numbered as they came, and named after the first watch."""
    task = named(planned(DONE), "wch_1")
    assert [(file.n, file.url, file.name) for file in task.end.files] == [
        (0, URLS[0], "videos/vid_1/wch_1-0"),
        (1, URLS[1], "videos/vid_1/wch_1-1"),
    ]
    assert {(file.state, file.tries, file.next_try_at) for file in task.end.files} == {("pending", 0, NOW)}


def test_downloads_stand_in_where_there_is_no_url():
    """An API that gives no URL has a place where our key fetches the result."""
    end = End("completed", NOW, downloads=("https://api.example/content",))
    (file,) = planned(replace(DONE, end=end)).end.files
    assert file.url == "https://api.example/content"


@pytest.mark.parametrize("end", [None, End("failed", NOW), End("abandoned", NOW), End("completed", NOW)])
def test_what_made_nothing_has_no_files(end):
    """Nor has a task that goes on."""
    task = replace(GOING_ON, end=end)
    assert planned(task) == task
    assert named(task, "wch_1") == task
    assert pending(task) == ()


def test_a_plan_is_made_once():
    """An end whose files are known keeps them, whatever became of them."""
    task = planned(DONE)
    assert planned(task) is task


@pytest.mark.parametrize(
    ("task_id", "variables", "folder"),
    [
        ("vid_8f2c", "{}", "vid_8f2c"),
        ("a.b-c_D9", "{}", "a.b-c_D9"),
        ("../../etc", "{}", "_._.._etc-24406596f8"),
        ("vid_1", '{"model":"m"}', "vid_1-6493dc2814"),
        (".hidden", "{}", "_hidden-59cf772c9d"),
    ],
)
def test_a_folder_says_whose_it_is(task_id, variables, folder):
    """A tame id is the name itself; what was changed, or has variables, is told apart by a hash."""
    assert folder_of(task_id, variables) == folder


@given(st.text(min_size=1, max_size=600), st.sampled_from(["{}", '{"a":"b"}']))
def test_no_folder_leads_elsewhere(task_id, variables):
    """Whatever an id holds: letters, digits and `._-`, no leading dot, never too long."""
    folder = folder_of(task_id, variables)
    assert set(folder) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert not folder.startswith(".")
    assert 1 <= len(folder) <= 91


@given(st.tuples(st.text(min_size=1, max_size=90), st.text(min_size=1, max_size=90)))
def test_other_tasks_have_other_folders(ids):
    """Also where what tells them apart cannot be written."""
    one, other = ids
    assert (folder_of(one, "{}") == folder_of(other, "{}")) == (one == other)
    assert folder_of(one, "{}") != folder_of(one, '{"a":"b"}')


def test_fresh_urls_go_to_the_files_that_are_pending():
    """What is saved keeps the URL that it was saved from, and so does what the answer no longer names."""
    first, second = planned(DONE).end.files
    saved = kept(first, location="file:///a", size=1, sha256="00", content_type="video/mp4", now=NOW)
    task = with_file(planned(DONE), saved)
    answer = Completed("completed", ("https://new/1", "https://new/2"), '{"n":1}', expires_at=in_seconds(60))
    fresh = renewed(task, answer, in_seconds(9))
    assert [file.url for file in fresh.end.files] == [URLS[0], "https://new/2"]
    assert (fresh.end.urls, fresh.end.refreshed_at) == (("https://new/1", "https://new/2"), in_seconds(9))
    assert (fresh.end.expires_at, fresh.response) == (in_seconds(60), '{"n":1}')
    fewer = renewed(task, Completed("completed", ("https://new/1",)), in_seconds(9))
    assert fewer.end.files[1].url == second.url
    assert renewed(task, Completed("completed", ()), in_seconds(9)) == task


def test_a_saved_file_says_all_about_itself():
    """And nothing of the troubles before."""
    (file, _) = planned(DONE).end.files
    tried = missed(file, "broken", now=NOW, give_up=False, wait=5.0)
    saved = kept(tried, location="file:///a", size=9, sha256="ab", content_type="video/mp4", now=in_seconds(8))
    assert saved == ResultFile(
        0, URLS[0], "videos/vid_1", "saved", "file:///a", 9, "ab", "video/mp4", in_seconds(8), None, 2, None
    )


def test_a_try_that_failed_is_repeated_until_it_is_given_up():
    """The error stays for whoever looks."""
    (file, _) = planned(DONE).end.files
    again = missed(file, "broken", now=NOW, give_up=False, wait=5.0)
    assert (again.state, again.error, again.tries, again.next_try_at) == ("pending", "broken", 1, in_seconds(5))
    over = missed(again, "too large", now=NOW, give_up=True, wait=5.0)
    assert (over.state, over.error, over.tries, over.next_try_at) == ("unsaved", "too large", 2, None)


@pytest.mark.parametrize(("tries", "wait"), [(1, 5.0), (2, 10.0), (7, 320.0), (8, 600.0), (10**6, 600.0)])
def test_waits_double_up_to_ten_minutes(tries, wait):
    """Moved by up to 20 % either way."""
    assert wait_after(tries, 0.0) == wait
    assert (wait_after(tries, -1.0), wait_after(tries, 1.0)) == pytest.approx((wait * 0.8, wait * 1.2))


def test_a_time_that_nobody_would_set_has_come():
    """The clock was wrong when it was written down; a file must not wait for that year."""
    file = ResultFile(0, URLS[0], "x")
    files = {seconds: replace(file, next_try_at=in_seconds(seconds)) for seconds in (-1, 60, 10**9)}
    waits = {seconds: until_next_try(waiting, NOW) for seconds, waiting in files.items()}
    assert waits == {-1: 0.0, 60: 60.0, 10**9: 0.0}
    assert until_next_try(file, NOW) == 0.0
    assert until_next_try(replace(file, next_try_at=in_seconds(LONGEST_WAIT_SECONDS * 1.2)), NOW) > 0


def test_the_first_file_that_is_due_comes_next():
    """Those that wait and those that are settled are passed over."""
    task = planned(DONE)
    first, second = task.end.files
    waiting = with_file(task, replace(first, next_try_at=in_seconds(5)))
    assert next_due(waiting, NOW) == second
    assert next_due(with_file(waiting, replace(second, state="unsaved")), NOW) is None
    assert next_due(waiting, in_seconds(5)) == replace(first, next_try_at=in_seconds(5))


def test_switching_off_settles_what_is_pending():
    """And touches nothing else."""
    task = planned(DONE)
    first, _ = task.end.files
    saved = replace(first, state="saved")
    off = switched_off(with_file(task, saved))
    assert off.end.files[0] == saved
    assert (off.end.files[1].state, off.end.files[1].error) == ("unsaved", SWITCHED_OFF)
    assert pending(off) == ()
    with pytest.raises(ValueError, match="goes on"):
        switched_off(GOING_ON)


@pytest.mark.parametrize(
    ("states", "news"),
    [
        (("saved", "saved"), "result.saved"),
        (("unsaved", "saved"), "result.saved"),
        (("unsaved", "unsaved"), "result.unsaved"),
        (("deleted", "unsaved"), "result.saved"),
    ],
)
def test_the_news_is_whether_anything_was_saved(states, news):
    """One file is enough; each says for itself what became of it."""
    files = tuple(ResultFile(n, URLS[n], "x", state) for n, state in enumerate(states))
    assert news_of(End("completed", NOW, files=files)) == news
