"""The calls about the daemon itself: reload, health, readiness, metrics, public keys, and this API's description."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from starlette.requests import Request
from starlette.responses import Response

from notifier.adapters.api.caller import whole_daemon_only
from notifier.adapters.api.parts import ApiParts, Reloaded, ReloadRefused
from notifier.adapters.api.problems import Complaint, Problem, encode
from notifier.adapters.api.views import readiness_members, status_json
from notifier.domain.signature import Ed25519Key, public_jwk, public_key


@dataclass(slots=True)
class KeysDocument:
    """Made anew only for another tuple of keys: whoever asks needs no token, and each key costs a derivation."""

    _keys: Sequence[Ed25519Key] | None = None
    _document: bytes = b""

    def of(self, keys: Sequence[Ed25519Key]) -> bytes:
        if keys is not self._keys:
            shown = {"keys": [public_jwk(key) for key in keys], "whpk": [public_key(key) for key in keys]}
            self._keys, self._document = keys, encode(shown)
        return self._document


@dataclass(frozen=True, slots=True)
class Operations:
    """`describe` gives the OpenAPI document; True when a token is needed."""

    parts: ApiParts
    describe: Callable[[bool], bytes]
    shown_keys: KeysDocument = field(default_factory=KeysDocument)

    async def reload(self, request: Request) -> Response:
        if refusal := whole_daemon_only(request.scope):
            return refusal.response()
        result = await self.parts.reload()
        match result:
            case Reloaded():
                watches = {"added": result.added, "changed": result.changed, "cancelled": result.cancelled}
                return _json({"watches": watches, "needs_restart": result.needs_restart})
            case ReloadRefused(errors=errors):
                detail = "the configuration is wrong and nothing was changed; the errors say where"
                return Problem(422, detail, [Complaint(error) for error in errors]).response()
            case _:
                assert_never(result)

    async def health(self) -> Response:
        return _json({"status": "ok"})

    async def ready(self) -> Response:
        readiness = await self.parts.readiness()
        return _json(readiness_members(readiness), 200 if readiness.ready else 503)

    async def status(self, request: Request) -> Response:
        if refusal := whole_daemon_only(request.scope):
            return refusal.response()
        return Response(status_json(await self.parts.status(), self.parts.clock.now()), media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        if refusal := whole_daemon_only(request.scope):
            return refusal.response()
        content, content_type = await self.parts.render_metrics()
        # Set as a header, because a media type of text/… would get a second charset.
        return Response(content, headers={"Content-Type": content_type})

    async def keys(self) -> Response:
        return Response(self.shown_keys.of(self.parts.public_keys()), media_type="application/json")

    async def description(self) -> Response:
        return Response(self.describe(bool(self.parts.tokens())), media_type="application/json")


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(encode(value), status, media_type="application/json")
