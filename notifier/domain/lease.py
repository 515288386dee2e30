"""Leases on shards: who may poll which tasks, and what a node does when it sees who else is there.

Every rule here only divides the work. That at most one node's writes count is the fence's doing: a number that grows
with each change of a shard's owner, and that each write of an owned task is checked against in its own transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

TTL_SECONDS = 8.0
"""A node that has not been heard of for so long, on the database's clock, may be buried."""
BEAT_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as the database knows it. `alive` was judged on the database's clock; `report` is a JSON object in which
    the node says how it fares."""

    id: str
    name: str
    version: str
    started_at: datetime
    alive_until: datetime
    alive: bool
    report: str = "{}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A shard's owner (a node's id; None: nobody), and the fence that goes with it."""

    owner: str | None
    fence: int


@dataclass(frozen=True, slots=True)
class Roll:
    """Who is there and who holds what, as one beat of the node `me` found it; `now` is the database's clock."""

    me: str
    now: datetime
    nodes: tuple[NodeRow, ...]
    shards: Mapping[int, Lease]
