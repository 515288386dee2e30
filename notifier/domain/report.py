"""What a node says of itself to the others, in each of its beats, and what all of them together look like."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from notifier.domain.lease import TTL_SECONDS, Roll


@dataclass(frozen=True, slots=True)
class NodeReport:
    """How many tasks it polls, how many polls it makes a second, for how many seconds the one that is due longest has
    waited, and how many polls a second it wants to make of each provider."""

    tasks: int = 0
    polls_per_second: float = 0.0
    lag_seconds: float = 0.0
    demand: Mapping[str, float] = field(default_factory=dict)

    def written(self) -> str:
        return json.dumps(
            {
                "tasks": self.tasks,
                "polls_per_second": round(self.polls_per_second, 1),
                "lag_seconds": round(self.lag_seconds, 1),
                "demand": {provider: _short(rate) for provider, rate in self.demand.items() if rate > 0},
            }
        )


def read_report(text: str) -> NodeReport:
    """As far as it can be read: the node may run another version."""
    try:
        found = json.loads(text)
    except ValueError:
        return NodeReport()
    if not isinstance(found, dict):
        return NodeReport()
    demand = found.get("demand")
    return NodeReport(
        int(_number(found.get("tasks"))),
        _number(found.get("polls_per_second")),
        _number(found.get("lag_seconds")),
        {name: _number(rate) for name, rate in demand.items()} if isinstance(demand, dict) else {},
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """One node as another sees it. `seen_at` is when it was last heard of; one that is not `alive` is silent for so
    long that others take over what it holds. Times are the database's."""

    name: str
    this: bool
    version: str
    alive: bool
    started_at: datetime
    seen_at: datetime
    shards: int
    report: NodeReport


def standings(roll: Roll) -> tuple[Standing, ...]:
    """All nodes, the oldest first."""
    owned = Counter(lease.owner for lease in roll.shards.values())
    return tuple(
        Standing(
            name=node.name,
            this=node.id == roll.me,
            version=node.version,
            alive=node.alive,
            started_at=node.started_at,
            seen_at=node.alive_until - timedelta(seconds=TTL_SECONDS),
            shards=owned[node.id],
            report=read_report(node.report),
        )
        for node in sorted(roll.nodes, key=lambda node: (node.started_at, node.id))
    )


def unowned(roll: Roll) -> int:
    """How many shards are nobody's: their tasks are polled by nobody."""
    return sum(lease.owner is None for lease in roll.shards.values())


def _number(value: Any) -> float:
    """A count or a rate that others go by: nothing below 0, and no infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        return max(float(value), 0.0) if math.isfinite(value) else 0.0
    except OverflowError:  # an integer beyond all floats
        return 0.0


def _short(rate: float) -> float:
    return float(f"{rate:.4g}")
