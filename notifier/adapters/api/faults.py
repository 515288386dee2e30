"""The outermost layer: a store that is down and faults of our own become problems too, and are logged once."""

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifier.adapters.api.caller import caller_of
from notifier.adapters.api.framing import OverloadedError
from notifier.adapters.api.problems import Problem, unavailable
from notifier.ports import GuardBusyError, StoreUnavailableError, TooManyListsError

log = structlog.get_logger()


class Faults:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if status is not None:  # too late for another answer: the server closes the connection and logs it
                raise
            await _problem_of(error, scope).response()(scope, receive, watch)
        log.debug(
            "request.answered",
            method=scope["method"],
            path=scope["path"],
            status=status,
            caller=caller_of(scope).name,
        )


def _problem_of(error: Exception, scope: Scope) -> Problem:
    if isinstance(error, TooManyListsError):  # no trouble that the log should hear of
        return unavailable("too many lists are being read; ask again in a moment")
    if isinstance(error, StoreUnavailableError):
        log.warning("request.refused", method=scope["method"], path=scope["path"], error=str(error))
        return unavailable("the store does not answer now; try again: what was done is not done twice")
    if isinstance(error, GuardBusyError):
        return unavailable(f"whether the URL may be called cannot be found out now: {error}")
    if isinstance(error, OverloadedError):
        return unavailable("too many large requests are being read; nothing was changed, try again")
    hint = "a fault of Notifier itself; please report it"
    log.error("request.failed", method=scope["method"], path=scope["path"], exc_info=error, hint=hint)
    return Problem(500, "a fault of Notifier itself; its log says more")
