"""How an answer of a provider is shown: what was asked and heard, what it means, why, and what follows."""

import json
from collections.abc import Callable, Iterator, Mapping

import typer

from notifier.adapters.providers import Exchange
from notifier.app.trying import Tried
from notifier.cli.client import printable
from notifier.config import ProviderSettings
from notifier.domain.answer import Answer, Completed, outcome_name
from notifier.domain.description import Description, HintHeader
from notifier.domain.explanation import decided_by, decided_by_result, findings, what_follows
from notifier.domain.http_answer import HttpAnswer
from notifier.domain.masking import MASK
from notifier.domain.reading import Reading

SHOWN_CHARACTERS = 4096
"""Of a body; the whole of it is read all the same."""
_TELLING = ("content-type", "content-length", "date", "location", "retry-after")
"""Headers of an answer that help to understand it, beside those about limits and the request's id."""
_TELLING_PARTS = ("request-id", "ratelimit", "trace-id")

Mask = Callable[[str], str]


def _as_it_is(text: str) -> str:
    return text


def show_exchange(exchange: Exchange, tried: Tried, description: Description) -> None:
    """A request, every secret masked, and the answer as it came, cut short."""
    request, mask = exchange.request, tried.mask
    _say(mask(f"{request.method} {_with_names(request.url, tried.query)}"))
    _say_fields({**request.headers, **tried.headers}, mask)
    if request.body is not None:
        _say(mask("  " + _with_members(request.body, tried.body)))
    typer.echo()
    if exchange.heard is None:
        show_unheard(exchange.reading.answer, mask)
        return
    _say(f"HTTP {exchange.heard.status}")
    _say_fields(dict(_telling(exchange.heard.headers, description)), mask)
    _say_body(exchange.heard, mask)
    typer.echo()


def _with_names(url: str, names: tuple[str, ...]) -> str:
    added = "&".join(f"{name}={MASK}" for name in names)
    return f"{url}{'&' if '?' in url else '?'}{added}" if added else url


def _with_members(body: bytes, names: tuple[str, ...]) -> str:
    if not names:
        return body.decode("utf-8", "replace")
    return json.dumps({**(json.loads(body) if body else {}), **dict.fromkeys(names, MASK)}, ensure_ascii=False)


def _telling(headers: Mapping[str, str], description: Description) -> Iterator[tuple[str, str]]:
    hint = description.hint.name if isinstance(description.hint, HintHeader) else None
    for name, value in headers.items():
        lower = name.lower()
        if lower in _TELLING or lower == hint or any(part in lower for part in _TELLING_PARTS):
            yield lower, value


def _say_fields(fields: Mapping[str, str], mask: Mask) -> None:
    for name, value in fields.items():
        _say(mask(f"  {name}: {value}"))


def _say_body(heard: HttpAnswer, mask: Mask) -> None:
    """Masked before it is cut: half a secret would not be known as one."""
    text = mask(heard.body.decode("utf-8", "replace")).strip()
    for line in text[:SHOWN_CHARACTERS].splitlines():
        _say(f"  {line}")
    if len(text) > SHOWN_CHARACTERS or heard.truncated:
        _say(f"  … ({len(heard.body)} bytes{' and more' if heard.truncated else ''})")


def show_meaning(
    reading: Reading,
    heard: HttpAnswer,
    provider: ProviderSettings,
    description: Description,
    mask: Mask = _as_it_is,
) -> None:
    """What the answer to a poll means."""
    because = decided_by(reading, heard.status, description)
    again = isinstance(reading.answer, Completed) and description.result is not None
    _show(reading, because, _second(description) if again else _follows(reading, provider), mask)


def show_result_meaning(
    reading: Reading,
    heard: HttpAnswer,
    provider: ProviderSettings,
    description: Description,
    mask: Mask = _as_it_is,
) -> None:
    """What the answer to the second request makes of a success."""
    because = decided_by_result(reading, heard.status, description)
    _show(reading, because, _follows(reading, provider), mask)


def _show(reading: Reading, because: str, then: str, mask: Mask) -> None:
    found = [(name, text) for name, text in findings(reading.answer) if text != because]
    rows = [("means", outcome_name(reading.answer)), ("because", because), *found, ("then", then)]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        _say(mask(f"{name:<{width}}  {text}"))


def _follows(reading: Reading, provider: ProviderSettings) -> str:
    return what_follows(
        reading.answer,
        interval=provider.interval,
        min_interval=provider.min_interval,
        not_found_grace=provider.not_found_grace,
    )


def _second(description: Description) -> str:
    look = description.result
    where = "a URL of the answer" if look is None or look.path is None else look.path.text
    return f"the result is asked for with a second request, to {where}; the task ends when that is there"


def show_unheard(answer: Answer, mask: Mask) -> None:
    """What a poll came to for which there is no answer: no request could be made, or nobody answered it."""
    for name, text in [("means", outcome_name(answer)), *findings(answer)]:
        _say(mask(f"{name:<{len('because')}}  {text}"))


def _say(text: str) -> None:
    typer.echo(printable(text))
