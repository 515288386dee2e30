"""`notifier status`: how a running daemon is doing."""

import re
from collections.abc import Mapping
from typing import Any

import typer

from notifier.cli.client import FAILED, ConfigOption, Intake, JsonOption, TokenOption, UrlOption, printable
from notifier.cli.table import moment
from notifier.domain.quantity import format_duration, format_size

UNKNOWN = "unknown: the store cannot be read"
STALE_SECONDS = 5.0
"""A node hears of the others more often than that, while the store answers."""


def status(
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a running daemon is doing; exit 0 when it is ready, 1 when it is not or does not answer."""
    reply, found = Intake(url, token, config).ask_json("GET", "/v1/status")
    if as_json:
        typer.echo(reply.body)
    else:
        _show(found)
    if not found["ready"]:
        raise typer.Exit(FAILED)


def _show(found: Any) -> None:
    rows = [
        ("daemon", f"version {found['version']}, up {lapse(found['uptime_seconds'])}"),
        ("ready", "yes" if found["ready"] else "NO"),
        *((f"  {name}", what) for name, what in found["checks"].items()),
        ("providers", _providers(found["paused"])),
        ("polls", f"{_rate(found, '/s')}; the one that is due longest waits {_lag(found)}"),
        *_nodes(found.get("cluster")),
        ("watches", _counts(found["watches"])),
        ("deliveries", _counts(found["deliveries"])),
        ("oldest", UNKNOWN if found["deliveries"] is None else _oldest(found["oldest_pending"])),
        ("circuits", _circuits(found["open_circuits"])),
        ("store", _store(found["store"])),
        ("reload", _reload(found["last_reload"])),
    ]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        typer.echo(f"{name:<{width}}  {printable(text)}")


def _nodes(cluster: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """All that share the database, and whether they have all of its work; nothing where there can be one only."""
    if cluster is None:
        return []
    alive = sum(node["alive"] for node in cluster["nodes"])
    unowned = cluster["unowned_shards"]
    told = f"{alive} alive; " + (f"{unowned} SHARDS ARE NOBODY'S" if unowned else "every shard has its owner")
    if cluster["age_seconds"] > STALE_SECONDS:
        told += f"; that was {lapse(cluster['age_seconds'])} ago, the store has not answered since"
    return [("nodes", told), *((f"  {printable(node['name'])}", _node(node)) for node in cluster["nodes"])]


def _node(node: Mapping[str, Any]) -> str:
    work = f"{node['shards']} shards, {node['tasks']} tasks, {_rate(node, ' polls/s')}"
    mark = "this one, " if node["this"] else ""
    if not node["alive"]:
        return f"{mark}SILENT since {moment(node['seen_at'])}; {node['shards']} shards"
    return f"{mark}{work}, lag {node['poll_lag_seconds']:.1f} s, version {node['version']}"


def _rate(found: Mapping[str, Any], unit: str) -> str:
    return f"{found['polls_per_second']:.1f}{unit} over the last minute"


def _lag(found: Any) -> str:
    return f"{found['poll_lag_seconds']:.1f} s"


def _providers(paused: Mapping[str, Any]) -> str:
    """Which of them are paused, why, and for how long."""
    pauses = [f"{name} paused, {one['reason']}: asked again {_soon(one)}" for name, one in paused.items()]
    return "; ".join(pauses) or "none is paused"


def _soon(pause: Mapping[str, Any]) -> str:
    left = pause["seconds_left"]
    return f"in {lapse(left)}" if left >= 1 else "now"


def _counts(counts: Mapping[str, int] | None) -> str:
    if counts is None:
        return UNKNOWN
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _oldest(oldest: Mapping[str, Any] | None) -> str:
    if oldest is None:
        return "no delivery is pending"
    return f"{oldest['id']}, pending for {lapse(oldest['age_seconds'])}"


def _circuits(count: int) -> str:
    return "none is open" if count == 0 else f"{count} open: those receivers keep failing and are only probed"


def _store(store: Mapping[str, Any]) -> str:
    if not store["bytes"]:  # no store is that small
        return UNKNOWN
    free = "" if store["free_bytes"] is None else f", {format_size(store['free_bytes'])} free on its disk"
    return format_size(store["bytes"]) + free


def _reload(reload: Mapping[str, Any]) -> str:
    refused = "REFUSED: what was before it still applies, and the log says why"
    return f"{moment(reload['at'])}, {'took effect' if reload['successful'] else refused}"


def lapse(seconds: float) -> str:
    """Seconds as people say them: the two greatest units."""
    return "".join(re.findall(r"\d+[a-z]+", format_duration(round(seconds)))[:2])
