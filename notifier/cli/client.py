"""What the commands share that talk to a running daemon: finding it, calling it, and telling people what went wrong.

It is found by `--url` and `--token`, then by `$NOTIFIER_URL` and `$NOTIFIER_TOKEN`, then by the configuration.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, TypeAlias, assert_never
from urllib.parse import quote, unquote

import typer

from notifier.adapters.intake_client import (
    Address,
    HttpAddress,
    IntakeClient,
    Opened,
    Reply,
    UnixAddress,
    Unreachable,
    parse_address,
)
from notifier.cli.options import DEFAULT_CONFIG, WRONG_CONFIGURATION
from notifier.config import Loaded, Settings, SystemdListen, TcpListen, UnixListen, load

FAILED, USAGE = 1, 2
_LISTS = {
    "GET /v1/watches": "notifier watch list",
    "GET /v1/deliveries": "notifier delivery list",
    "GET /v1/endpoints": "notifier endpoint list",
}

UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The daemon's intake: http://host:port or unix:/path [$NOTIFIER_URL]."),
]
TokenOption = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", help="The bearer token for it [$NOTIFIER_TOKEN].")
]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help=f"Where to find both otherwise: intake.listen and its first token [$NOTIFIER_CONFIG, {DEFAULT_CONFIG}].",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the intake's answer as it comes.")]
LimitOption = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, max=1000, show_default="50")]
CursorOption = Annotated[str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on where a list ended.")]


@dataclass(frozen=True, slots=True)
class Daemon:
    """Where the daemon is; `source` names the setting that says so, `token_source` the one that the token is from."""

    address: Address
    source: str
    token: str | None = None
    token_source: str | None = None


@dataclass(frozen=True, slots=True)
class Nowhere:
    """No daemon can be named; `message` is one line or several for people."""

    message: str
    exit_code: int


Found: TypeAlias = Daemon | Nowhere


def find(url: str | None, token: str | None, config: str | None, environ: Mapping[str, str]) -> Found:
    """Where the daemon is. The configuration is read only when it is needed or named; a token of it goes only to the
    daemon that it describes, or that somebody names together with it (not the one at the usual place, unnamed)."""
    named, source = _first({"--url": url, "$NOTIFIER_URL": environ.get("NOTIFIER_URL")})
    given, token_source = _first({"--token": token, "$NOTIFIER_TOKEN": environ.get("NOTIFIER_TOKEN")})
    if given is not None and not _sendable(given):
        return Nowhere(f"the token from {token_source} has a character in it that no token has", USAGE)
    if named is None:
        return _find_by_file(_config_path(config, environ), environ, given, token_source)
    try:
        address = parse_address(named)
    except ValueError as error:
        return Nowhere(f"{source}: {error}", USAGE)
    if given is not None:
        return Daemon(address, source, given, token_source)
    return _with_token_of_file(Daemon(address, source), config, environ)


def _first(candidates: Mapping[str, str | None]) -> tuple[str | None, str]:
    """The first that is set, and its name; an empty variable is not set."""
    return next(((value, name) for name, value in candidates.items() if value), (None, ""))


def _sendable(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token


def _config_path(config: str | None, environ: Mapping[str, str]) -> str:
    return config or environ.get("NOTIFIER_CONFIG") or str(DEFAULT_CONFIG)


def _find_by_file(path: str, environ: Mapping[str, str], token: str | None, token_source: str | None) -> Found:
    settings = _settings(path, environ)
    if isinstance(settings, Nowhere):
        return settings
    address = _listening(settings, path)
    if isinstance(address, Nowhere):
        return address
    daemon = Daemon(address, f"intake.listen in {path}", token, token_source)
    return daemon if token is not None else _with_first_token(daemon, settings, path)


def _with_token_of_file(daemon: Daemon, config: str | None, environ: Mapping[str, str]) -> Found:
    """With the first token of a file that is named. One that cannot be used matters only when an option names it: a
    variable may be there for other commands, and the daemon may want no token."""
    path = config or environ.get("NOTIFIER_CONFIG")
    if not path:
        return daemon
    settings = _settings(path, environ)
    if isinstance(settings, Nowhere):
        return settings if config else daemon
    return _with_first_token(daemon, settings, path)


def _settings(path: str, environ: Mapping[str, str]) -> Settings | Nowhere:
    loaded = load(path, environ, secrets="optional")
    if isinstance(loaded, Loaded):
        return loaded.settings
    problems = "\n".join(str(problem) for problem in loaded.problems)
    asked = "which daemon? Name it with --url or $NOTIFIER_URL, for the configuration does not tell:"
    return Nowhere(f"{asked}\n{problems}", WRONG_CONFIGURATION)


def _listening(settings: Settings, path: str) -> Address | Nowhere:
    match settings.intake.listen:
        case TcpListen(host=host, port=port):
            # A wildcard can be listened on but not called.
            callable_host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
            return HttpAddress("http", callable_host, port)
        case UnixListen(path=socket_path):
            return UnixAddress(socket_path)
        case SystemdListen():
            return Nowhere(f"{path}: systemd chose where the intake listens; name it with --url", FAILED)
        case None:
            return Nowhere(f"{path}: intake.listen is null, so this daemon takes no calls", FAILED)
        case _:
            assert_never(settings.intake.listen)


def _with_first_token(daemon: Daemon, settings: Settings, path: str) -> Daemon:
    tokens = [one.token.get_secret_value() for one in settings.intake.tokens]
    if not tokens or not tokens[0] or not _sendable(tokens[0]):
        return daemon
    return Daemon(daemon.address, daemon.source, tokens[0], f"intake.tokens in {path}")


class Intake:
    """A daemon as the commands use it: what goes wrong is told on stderr and ends the command."""

    def __init__(self, url: str | None, token: str | None, config: str | None) -> None:
        found = find(url, token, config, os.environ)
        if isinstance(found, Nowhere):
            stop(found.message, found.exit_code)
        self._daemon = found
        self._client = IntakeClient(found.address, found.token)

    def ask(self, method: str, path: str, **more: Any) -> Reply:
        """A successful answer (2xx); more as `IntakeClient.call` takes it."""
        return self.settled(self.attempt(method, path, **more))

    def settled(self, answer: Reply | Unreachable) -> Reply:
        """That answer, if it is a successful one."""
        if isinstance(answer, Unreachable):
            stop(_unreachable(self._daemon, answer.reason))
        if not 200 <= answer.status < 300:
            stop(_refused(self._daemon, answer))
        return answer

    def attempt(self, method: str, path: str, **more: Any) -> Reply | Unreachable:
        """Whatever comes of it."""
        return self._client.call(method, path, **more)

    def opened(self, path: str, headers: Mapping[str, str]) -> AbstractContextManager[Opened | Unreachable]:
        """As `IntakeClient.opened`."""
        return self._client.opened(path, headers)

    def why(self, answer: Reply | Unreachable) -> str:
        """What is told of an answer that is no success."""
        if isinstance(answer, Unreachable):
            return _unreachable(self._daemon, answer.reason)
        return _refused(self._daemon, answer)

    def ask_json(self, method: str, path: str, **more: Any) -> tuple[Reply, Any]:
        """A successful answer, and its body read."""
        return self.read(self.ask(method, path, **more))

    def read(self, reply: Reply) -> tuple[Reply, Any]:
        """A successful answer, and its body read."""
        value = reply.json()
        if value is None:
            stop(_stranger(self._daemon, reply.status))
        return reply, value


def segment(text: str) -> str:
    """Text as one segment of a path: an id may be anything that somebody typed."""
    return quote(text, safe="", errors="replace").replace(".", "%2E")


def stop(message: str, exit_code: int = FAILED) -> NoReturn:
    typer.echo(f"notifier: {message}", err=True)
    raise typer.Exit(exit_code)


def _unreachable(daemon: Daemon, reason: str) -> str:
    where = f"no daemon answers at {daemon.address} (from {daemon.source}): {reason}"
    return f"{where}; start it with `notifier run`, or name another with --url"


def _stranger(daemon: Daemon, status: int) -> str:
    return f"{daemon.address} (from {daemon.source}) answered HTTP {status}, but not as Notifier does; check --url"


def _refused(daemon: Daemon, reply: Reply) -> str:
    """A problem document for people: each wrong member in a line of its own."""
    problem = reply.json()
    if not isinstance(problem, dict) or "detail" not in problem:
        return _stranger(daemon, reply.status)
    if reply.status == 401:
        return _unauthorized(daemon)
    if reply.status == 404:
        return printable(_in_commands(str(problem["detail"])))
    errors = [_complaint(one) for one in problem.get("errors", ())]
    return "\nnotifier: ".join(errors) or printable(str(problem["detail"]))


def _in_commands(text: str) -> str:
    """With the command in the place of the call that the intake names."""
    for call, command in _LISTS.items():
        text = text.replace(f"{call} lists them", f"`{command}` shows them")
    return text


def _complaint(error: Mapping[str, str]) -> str:
    steps = unquote(error.get("pointer", "#")).removeprefix("#").removeprefix("/").split("/")
    name = ".".join(step.replace("~1", "/").replace("~0", "~") for step in steps)
    return printable(f"{name}: {error['detail']}" if name else error["detail"])


def _unauthorized(daemon: Daemon) -> str:
    if daemon.token is None:
        return f"{daemon.address} wants a token; give one of its intake.tokens with --token or $NOTIFIER_TOKEN"
    what = f"{daemon.address} does not know the token from {daemon.token_source}"
    return f"{what}; give one of its intake.tokens with --token"


def printable(text: str) -> str:
    """Text from elsewhere without what a terminal would obey; line breaks and the like become visible escapes."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
