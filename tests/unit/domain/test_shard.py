"""Shards: which part of the tasks a task belongs to."""

from collections import Counter

from notifier.domain.shard import SHARDS, shard_of


def test_shards_are_evenly_full():
    """Keys are given out in a row: no shard has more than one task more than another."""
    sizes = Counter(shard_of(key) for key in range(1, 1001))
    assert set(sizes) == set(range(SHARDS))
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_a_task_stays_in_its_shard():
    """Databases have been written by this rule: another one would give tasks to nodes that do not own them."""
    assert [shard_of(key) for key in (1, 255, 256, 257, 1_000_003)] == [1, 255, 0, 1, 67]
