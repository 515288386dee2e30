"""Shards: the parts into which tasks are divided among the nodes that share a database."""

SHARDS = 256
"""Fixed for every database that there is: a task never changes its shard. Enough for some 50 nodes with even parts."""


def shard_of(key: int) -> int:
    """The shard of the task with this key. Keys are given out one after another, so shards are evenly full."""
    return key % SHARDS
