"""What is left for a person to do after an installation: pure, from the plan and what was found before it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from notifier.installation.layout import API_KEY, SERVICE, WEBHOOK_SECRET, Layout
from notifier.installation.machine import Found, Machine
from notifier.installation.step import Keep, Step, WriteFile

_NAME = SERVICE.removesuffix(".service")


@dataclass(frozen=True, slots=True)
class Task:
    """What to do, why, and the commands that do it."""

    what: str
    commands: tuple[str, ...]


def next_tasks(
    steps: Sequence[Step], layout: Layout, machine: Machine, program: Path, *, sudo: bool
) -> tuple[Task, ...]:
    """In order, ready to copy; `sudo`: whether whoever reads this needs it in front of what only root may do."""
    as_root = "sudo " if sudo else ""
    if not layout.is_live:
        return tuple(_in_a_tree(layout, program, as_root))
    return (
        *_edited(steps, as_root, program),
        *_secrets(steps, layout, machine, as_root),
        *_start(machine, as_root),
        Task(
            "Register a task, and see what became of it:",
            (
                f"{as_root}{program} watch add TASK_ID https://app.example.com/hooks/video",
                f"{as_root}{program} watch list",
            ),
        ),
    )


def _in_a_tree(layout: Layout, program: Path, as_root: str) -> Iterator[Task]:
    secret = layout.credentials / WEBHOOK_SECRET
    yield Task(
        "This tree has a webhook secret now. If several machines are made of it, each should have its own: remove it.",
        (f"rm {secret}",),
    )
    yield Task(
        "On the machine, this adds what is missing: the account, owners, the secret; and it says how to go on:",
        (f"{as_root}{program} install",),
    )


def _edited(steps: Sequence[Step], as_root: str, program: Path) -> Iterator[Task]:
    edited = [step.path for step in steps if isinstance(step, Keep) and step.difference]
    if edited:
        moves = [f"{as_root}mv {path} {path}.mine" for path in edited]
        yield Task(
            "To have our units in the place of edited ones (and your changes in a drop-in, by systemctl edit):",
            (*moves, f"{as_root}{program} install"),
        )


def _secrets(steps: Sequence[Step], layout: Layout, machine: Machine, as_root: str) -> Iterator[Task]:
    key, secret = layout.credentials / API_KEY, layout.credentials / WEBHOOK_SECRET
    written = {step.path: step.text for step in steps if isinstance(step, WriteFile)}
    before = machine.at(key)
    if written.get(key) == "" or (key not in written and isinstance(before, Found) and before.size == 0):
        yield Task("Give it your API key: paste it, then press Enter and Ctrl-D.", (f"{as_root}tee {key} > /dev/null",))
    if secret in written:
        yield Task("Give your receivers the webhook secret, so that they can verify:", (f"{as_root}cat {secret}",))


def _start(machine: Machine, as_root: str) -> Iterator[Task]:
    if not machine.active:
        commands = (f"{as_root}systemctl enable --now {_NAME}", f"{as_root}journalctl -u {_NAME} -f")
        yield Task("Start it, now and at every boot, and see how it does:", commands)
    else:
        what = "It runs; restart it, so that what has changed is used, and a newer Notifier, too:"
        yield Task(what, (f"{as_root}systemctl restart {_NAME}",))
    if machine.active and not machine.enabled:
        yield Task("It runs, but not after the next boot; for that:", (f"{as_root}systemctl enable {_NAME}",))
