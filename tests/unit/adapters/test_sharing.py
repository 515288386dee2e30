"""Which writes of a batch are done together, and in which order."""

from dataclasses import dataclass

import pytest

from notifier.adapters.stores.sharing import Shared, together


@dataclass(frozen=True)
class Job:
    name: str
    work: Shared | None


def nothing(connection, wanted):
    raise AssertionError("who works together is found out without any work")


END, REGISTER, SETTLE = Shared(nothing), Shared(nothing), Shared(nothing, early=True)
WORK = {"e": END, "r": REGISTER, "s": SETTLE, "c": None}


@pytest.mark.parametrize(
    ("asked", "done"),
    [
        ("e1 e2 e3", "e1 e2 e3"),
        ("e1 r1 e2", "e1 | r1 | e2"),  # a registration may be for a task that ends before or after it
        ("e1 s1 e2 s2", "e1 e2 | s1 s2"),
        ("s1 e1 r1 s2 e2", "s1 s2 | e1 | r1 | e2"),
        ("r1 s1 r2", "r1 r2 | s1"),
        ("s1 c1 s2 e1", "s1 | c1 | s2 | e1"),  # cancelling shares nothing, and nothing passes it
        ("c1 c2", "c1 | c2"),
        ("", ""),
    ],
)
def test_alike_go_together_unless_something_came_between_that_could_matter(asked: str, done: str) -> None:
    """Only what is early passes other work, and nothing passes what is not shared."""
    jobs = [Job(name, WORK[name[0]]) for name in asked.split()]
    groups = together(jobs, lambda job: job.work)
    assert " | ".join(" ".join(job.name for job in group) for group in groups) == done
