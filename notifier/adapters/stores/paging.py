"""One page of a list, newest first. A cursor is the number of a row: the next page begins below it.

A page for a limited caller is picked out of everybody's rows, and how many of them one request looks at is bounded:
such a page may be short, and the cursor says where the next one goes on looking.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select

from notifier.adapters.stores.rows import AnyRow, Query
from notifier.domain.prefix import Prefix
from notifier.ports import Page

SPAN = 200_000
"""How many row numbers a page for a limited caller reaches back at most: a tenth of a second or so."""
MOST_JUDGED = 5_000
"""How many rows that begin right are judged for it one by one."""
FETCHED_AT_ONCE = 200


def one_page(
    connection: Connection, query: Query, table: Table, page: Page, *, few: bool
) -> tuple[Sequence[AnyRow], int | None]:
    """The rows of one page, and its cursor if there is more. `query` selects from `table` by falling `seq`; `few` says
    that its conditions let through a handful of rows however many there are."""
    if page.under:
        return _picked(connection, query, table, page, few=few)
    if page.before is not None:
        query = query.where(table.c.seq < page.before)
    rows = connection.execute(query.limit(page.limit + 1)).all()  # one more, to know whether there is a next page
    return _cut(rows, page.limit)


def _picked(
    connection: Connection, query: Query, table: Table, page: Page, *, few: bool
) -> tuple[Sequence[AnyRow], int | None]:
    first, last = _ends(connection, table)
    top = last + 1 if page.before is None else min(last + 1, page.before)
    bottom = first if few else max(first, top - SPAN)
    query = query.where(table.c.seq < top, table.c.seq >= bottom, _begins(table, page.under)).limit(MOST_JUDGED)
    rows = []
    with closing(connection.execute(query.execution_options(yield_per=FETCHED_AT_ONCE))) as found:
        for judged, row in enumerate(found, 1):
            if any(prefix.covers(row.callback_url) for prefix in page.under):
                rows.append(row)
                if len(rows) > page.limit:
                    return _cut(rows, page.limit)
            if judged == MOST_JUDGED:
                return rows, row.seq
    return rows, bottom if bottom > first else None


def _ends(connection: Connection, table: Table) -> tuple[int, int]:
    """The numbers of the first and the last row, 0 when there is none."""
    low, high = select(func.min(table.c.seq)).scalar_subquery(), select(func.max(table.c.seq)).scalar_subquery()
    first, last = connection.execute(select(low, high)).one()
    return first or 0, last or 0


def _begins(table: Table, under: Iterable[Prefix]) -> ColumnElement[bool]:
    """What all URLs that are covered have in common with others; the rest is judged row by row."""
    openings = {prefix.opening for prefix in under}
    url = table.c.callback_url
    return or_(*(func.lower(func.substr(url, 1, len(opening))) == opening for opening in sorted(openings)))


def _cut(rows: Sequence[AnyRow], limit: int) -> tuple[Sequence[AnyRow], int | None]:
    shown = rows[:limit]
    return shown, shown[-1].seq if len(rows) > limit else None
