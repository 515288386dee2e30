"""When the wall clock is set: how far it jumped, and from when on that counts for what cannot be undone.

A clock that is set wrong is usually set right soon after. Whoever ends tasks or deletes what is old by a clock that is
a day ahead cannot take that back, so a jump ahead counts only when it has lasted.
"""

from datetime import datetime, timedelta

JUMP_SECONDS = 2.0
"""A wall clock that moved by more than this against the steady one was set, not merely adjusted."""
PATIENCE_SECONDS = 300.0
"""For how long a clock that was set ahead is doubted."""


class SettledTime:
    """The wall clock without jumps ahead younger than `PATIENCE_SECONDS`. Ask often: what lies between two questions
    is taken for one jump."""

    def __init__(self, wall: datetime, steady: float) -> None:
        self._believed = wall - timedelta(seconds=steady)
        self._doubted = self._believed
        self._since = steady

    def at(self, wall: datetime, steady: float) -> datetime:
        """What to go by when the clocks say `wall` and `steady` (monotonic seconds)."""
        told = wall - timedelta(seconds=steady)  # where the wall clock's line crosses zero of the steady one
        if told - self._believed <= _JUMP:
            self._believed = self._doubted = told
        elif abs(told - self._doubted) > _JUMP:  # a jump ahead, or another one before the first was believed
            self._doubted, self._since = told, steady
        elif steady - self._since >= PATIENCE_SECONDS:
            self._believed = told
        return self._believed + timedelta(seconds=steady)


_JUMP = timedelta(seconds=JUMP_SECONDS)
