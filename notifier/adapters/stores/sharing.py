"""Writes that are alike and share a commit share their statements, too: most of what a small write costs is what a
statement costs, however few rows it is for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

Wanted = TypeVar("Wanted")
Result = TypeVar("Result")
Job = TypeVar("Job")


@dataclass(frozen=True, slots=True, eq=False)
class Shared(Generic[Wanted, Result]):
    """Work that is done for many callers at once: `run` is given what each of them wants, in the order in which they
    asked, and answers each. What a caller gets does not depend on whether there are others.

    With `early` it may be done before other shared work that was asked for earlier: what both do never meets in a row
    while somebody waits for it. When it is `patient`, nobody is held up by it, and it waits a moment for company.
    """

    run: Callable[[Connection, Sequence[Wanted]], Sequence[Result]]
    early: bool = False
    patient: bool = False


def together(jobs: Sequence[Job], shared: Callable[[Job], Shared[Any, Any] | None]) -> Sequence[Sequence[Job]]:
    """Who is worked for together, in the order of the first of each. A job whose work is not `shared` (None) comes
    after all that stand before it, and before all that stand behind it."""
    groups: list[list[Job]] = []
    open_: dict[Shared[Any, Any], list[Job]] = {}
    for job in jobs:
        work = shared(job)
        if work is not None and work in open_:
            open_[work].append(job)
            continue
        groups.append([job])
        open_ = {one: group for one, group in open_.items() if work is not None and (one.early or work.early)}
        if work is not None:
            open_[work] = groups[-1]
    return groups
