"""Who calls: the token's name for the log, and the receivers that it is limited to."""

from dataclasses import dataclass

from starlette.types import Scope

from notifier.adapters.api.problems import Complaint, Problem, pointer
from notifier.domain.prefix import Prefix

SETTING = "intake.tokens[].callback_prefixes"


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is the token's, None where no tokens are configured. Without `prefixes` nothing is out of reach."""

    name: str | None = None
    prefixes: tuple[Prefix, ...] = ()

    @property
    def limited(self) -> bool:
        return bool(self.prefixes)

    def allows(self, callback_url: str) -> bool:
        """Whether this caller may name that receiver, and see what goes to it."""
        return not self.prefixes or any(prefix.covers(callback_url) for prefix in self.prefixes)

    def complaint(self, *at: str | int) -> Complaint:
        """What a caller is told that names another receiver; `at` is where in the body it stands."""
        detail = f"is outside of what the token {self.name!r} is limited to; {SETTING} lists it"
        return Complaint(detail, pointer(*at))


ANYBODY = Caller()


def caller_of(scope: Scope) -> Caller:
    """As the authentication found out; anybody where there is none."""
    found: Caller = scope.get("notifier.caller", ANYBODY)
    return found


def whole_daemon_only(scope: Scope) -> Problem | None:
    """Refuse (403) a limited caller what is about everybody's."""
    if not caller_of(scope).limited:
        return None
    detail = f"this call is about the whole daemon, and the token {caller_of(scope).name!r} is limited by {SETTING}"
    return Problem(403, f"{detail}; use one that is not")
