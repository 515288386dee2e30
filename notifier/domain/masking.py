"""Secrets out of a provider's words: it may send back what it was sent, however it read it."""

import base64
import json
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TypeAlias, assert_never
from urllib.parse import quote, quote_plus

from notifier.domain.answer import Answer, Completed, Failed, Missed, Running, Throttled, Unauthorized, Unavailable

MASK = "***"
SHORTEST_SECRET = 6
"""Characters: shorter ones would turn ordinary words into asterisks."""

Mask: TypeAlias = Callable[[str], str]


def written_forms(secret: str) -> frozenset[str]:
    """How a secret may be written: as it is, percent-encoded, within JSON and in base64."""
    encoded = [encode(secret.encode()).decode() for encode in (base64.b64encode, base64.urlsafe_b64encode)]
    written = [json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    whole = [secret, quote(secret, safe=""), quote_plus(secret), *written, *encoded]
    return frozenset((*whole, *(one.rstrip("=") for one in encoded)))


def masker(secrets: Collection[str], *, shortest: int = SHORTEST_SECRET) -> Mask:
    """Puts a mask over these secrets, in every form, wherever in a text they turn up."""
    forms = {form for secret in secrets if len(secret) >= shortest for form in written_forms(secret)}
    if not forms:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))))
    return lambda text: pattern.sub(MASK, text)


def masked(answer: Answer, mask: Mask) -> Answer:
    """The answer with a mask over what of it we say ourselves; its JSON is passed on as it came."""
    match answer:
        case Running(status=status, model=model):
            shown = _masked(status, mask), _masked(model, mask)
            # Nearly every answer is one of these, and hardly any has a secret in it.
            return answer if shown == (status, model) else replace(answer, status=shown[0], model=shown[1])
        case Completed(status=status, model=model):
            return replace(answer, status=mask(status), model=_masked(model, mask))
        case Failed(status=status, error=error, model=model):
            error = replace(error, code=_masked(error.code, mask), message=mask(error.message))
            return replace(answer, status=mask(status), error=error, model=_masked(model, mask))
        case Missed(message=message) | Unavailable(message=message):
            return replace(answer, message=mask(message))
        case Throttled() | Unauthorized():
            return answer
        case _:
            assert_never(answer)


def _masked(text: str | None, mask: Mask) -> str | None:
    return None if text is None else mask(text)
