"""What the log is told of files that are saved, or not."""

import structlog

from notifier.domain.moment import rfc3339_or_none
from notifier.domain.result_file import ResultFile
from notifier.domain.saving import SWITCHED_OFF
from notifier.domain.task import Task

log = structlog.get_logger()


def tell(task: Task, file: ResultFile, seconds: float) -> None:
    """One wide line for each file that is settled; a try that failed is told once for each file."""
    about = {"provider": task.provider, "task_id": task.task_id, "n": file.n, "tries": file.tries}
    match file.state:
        case "saved":
            took = round(seconds, 3)
            log.info("result.saved", **about, location=file.location, size=file.size, sha256=file.sha256, seconds=took)
        case "unsaved":
            log.warning("result.unsaved", **about, error=file.error)
        case _:
            say = log.info if file.tries == 1 else log.debug
            say("result.delayed", **about, error=file.error, next_try_at=rfc3339_or_none(file.next_try_at))


def tell_switched_off(task: Task, files: int) -> None:
    log.warning("result.unsaved", provider=task.provider, task_id=task.task_id, files=files, error=SWITCHED_OFF)
