"""What deliveries are about, and bodies that are written anew."""

from sqlalchemy import Connection, bindparam, or_, select, update

from notifier.adapters.stores import results
from notifier.adapters.stores.deliveries import OURS
from notifier.adapters.stores.lessee import Lessee
from notifier.adapters.stores.rows import renewed_params, watch_of
from notifier.adapters.stores.schema import HELD, PENDING, deliveries, tasks, watches
from notifier.domain.delivery import Delivery
from notifier.domain.task import Task
from notifier.ports import Subject

_WATCH = (
    select(watches)
    .join(deliveries, deliveries.c.watch_id == watches.c.id)
    .where(deliveries.c.id == bindparam("wanted"))
)
_REWRITE = update(deliveries).where(
    deliveries.c.id == bindparam("wanted"), deliveries.c.attempts == bindparam("attempts_before"), PENDING, ~HELD, OURS
)
_OLDER = tasks.c.refreshed_at < bindparam("learned_at", type_=tasks.c.refreshed_at.type)
_RENEW = update(tasks).where(
    tasks.c.key == bindparam("wanted"), tasks.c.state == "completed", or_(tasks.c.refreshed_at.is_(None), _OLDER)
)


def subject(connection: Connection, delivery_id: str) -> Subject | None:
    watch = connection.execute(_WATCH, {"wanted": delivery_id}).one_or_none()
    if watch is None:
        return None
    task = results.result(connection, watch.task_key)
    return None if task is None else Subject(task, watch_of(watch, task))


def rewrite(connection: Connection, delivery: Delivery, task: Task, lessee: Lessee) -> bool:
    params = {
        "wanted": delivery.id,
        "attempts_before": delivery.attempts,
        "lessee": lessee.node,
        **{name: getattr(delivery, name) for name in ("body", "urls_at", "urls_expire_at", "links_expire_at")},
    }
    if connection.execute(_REWRITE, params).rowcount == 0:
        return False
    if task.end is not None and task.end.refreshed_at is not None:
        learned = {"learned_at": task.end.refreshed_at, **renewed_params(task, task.end)}
        connection.execute(_RENEW, {"wanted": task.key, **learned})
    return True
