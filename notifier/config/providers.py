"""A provider's section: the account and its limits, and the description of the API. Presets are written the same way.

What settings of a section must agree on is in `provider_agreement`.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, SecretStr, WithJsonSchema

from notifier.config import described, fields
from notifier.config.interval import Interval
from notifier.config.kinds import (
    DURATION_SHAPE,
    BearerSecret,
    Concurrency,
    Duration,
    HostName,
    Rate,
    Section,
    setting,
    shape,
    text_shape,
    words_shape,
)
from notifier.config.presets import PRESETS
from notifier.domain.answer import OUTCOMES
from notifier.domain.description import Expressions, Method, Outcome
from notifier.domain.expression import MAX_EXPRESSION_CHARACTERS, Expression
from notifier.domain.headers import NAME_PATTERN, distinct
from notifier.domain.template import VARIABLE_NAME, JsonTemplate, Template
from notifier.domain.variables import MAX_VARIABLES

METHODS = ("GET", "POST")

_EXPRESSION = {"type": "string", "minLength": 1, "maxLength": MAX_EXPRESSION_CHARACTERS}
_PATHS = shape(_EXPRESSION, {"type": "array", "items": _EXPRESSION, "minItems": 1}, {"type": "null"})
MaybePaths = Annotated[Expressions | None, PlainValidator(described.expressions_or_none), _PATHS]
When = Annotated[Expression | None, PlainValidator(described.expression), text_shape(minLength=1)]
Word = Annotated[str, PlainValidator(described.word), shape({"type": ["string", "integer"]})]
Status = Annotated[
    tuple[int, int],
    PlainValidator(described.status_range),
    shape({"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5]xx$"}),
]
UrlPath = Annotated[Template, PlainValidator(described.path), text_shape(pattern="^/")]
LaterPath = Annotated[Template, PlainValidator(described.later_path), text_shape(pattern="^/")]
MaybeLaterPath = Annotated[Template | None, PlainValidator(described.later_path), text_shape(pattern="^/")]
QueryValue = Annotated[Template, PlainValidator(described.query_value), text_shape()]
LaterQueryValue = Annotated[Template, PlainValidator(described.later_query_value), text_shape()]
HeaderTemplate = Annotated[Template, PlainValidator(described.header_template), text_shape()]
LaterHeaderTemplate = Annotated[Template, PlainValidator(described.later_header_template), text_shape()]
HeaderToSet = Annotated[str, PlainValidator(described.header_to_set), text_shape(pattern=f"^{NAME_PATTERN}$")]
QueryName = Annotated[str, PlainValidator(described.query_name), WithJsonSchema({"type": "string", "pattern": "."})]
VariableName = Annotated[
    str, PlainValidator(described.variable_name), WithJsonSchema({"type": "string", "pattern": f"^{VARIABLE_NAME}$"})
]
Body = Annotated[JsonTemplate | None, PlainValidator(described.body), WithJsonSchema({})]
Text = Annotated[str, PlainValidator(fields.text), text_shape()]


class HeaderAuthSettings(Section):
    """A header of your choice."""

    name: HeaderToSet = setting("The name of the header.")
    value: BearerSecret = setting('Its value, as in "Key {api_key}".')


class QueryAuthSettings(Section):
    """A parameter of the query string."""

    name: Annotated[str, PlainValidator(described.query_name), text_shape(minLength=1)] = setting(
        "The name of the parameter."
    )
    value: BearerSecret = setting("Its value.")


class BodyAuthSettings(Section):
    """A member of the JSON object that is posted."""

    name: Annotated[str, PlainValidator(described.query_name), text_shape(minLength=1)] = setting(
        "The name of the member."
    )
    value: BearerSecret = setting("Its value.")


class BasicAuthSettings(Section):
    """HTTP Basic (RFC 7617)."""

    username: BearerSecret = setting("The user's name; some APIs take the key here.")
    password: Annotated[SecretStr, text_shape()] = setting("The password; it may be left out.", "")


class TokenAuthSettings(Section):
    """A token that is signed for each request: a JWT (RFC 7519) by HMAC-SHA256."""

    access_key: BearerSecret = setting("Who signs: the issuer in the token.")
    secret_key: BearerSecret = setting("What it is signed with.")
    ttl: Annotated[float, PlainValidator(described.token_ttl), DURATION_SHAPE] = setting(
        "For how long a token counts, 10s at least; it is used for half of that.", "30m"
    )


class AuthSettings(Section):
    """How the credentials are sent: exactly one of these."""

    bearer: Annotated[BearerSecret | None, text_shape(minLength=1)] = setting(
        "Authorization: Bearer, and this.", None
    )
    header: HeaderAuthSettings | None = setting("A header of your choice.", None)
    query: QueryAuthSettings | None = setting("A parameter of the query string.", None)
    body: BodyAuthSettings | None = setting("A member of the JSON object that is posted.", None)
    basic: BasicAuthSettings | None = setting("HTTP Basic.", None)
    jwt_hs256: TokenAuthSettings | None = setting("A token that is signed anew as it expires.", None)
    command: Annotated[tuple[Text, ...], AfterValidator(described.command)] = setting(
        "A program and its arguments that prints a bearer token, run without a shell.", ()
    )
    ttl: Duration = setting("How long the command's token is used before it runs again.", "5m")


class PollSettings(Section):
    """The request that asks how a task is."""

    method: Annotated[Method, PlainValidator(fields.one_of(METHODS)), words_shape(*METHODS)] = setting(
        "GET or POST.", "GET"
    )
    path: UrlPath = setting("Below base_url, with {task_id} and {vars.NAME}.")
    query: dict[QueryName, QueryValue] = setting("Parameters of the query string.", {})
    headers: Annotated[dict[HeaderToSet, HeaderTemplate], AfterValidator(distinct)] = setting("Further headers.", {})
    body: Body = setting("The body of a POST, any JSON with placeholders in its strings.", None)


class RuleSettings(Section):
    """What answers with this HTTP status, and of which this is true, mean; the first rule that fits counts."""

    http: tuple[Status, ...] = setting("Statuses, as in 202 or 5xx; by default any.", ())
    when: When = setting("JMESPath: true for which answers; by default all.", None, validate_default=False)
    outcome: Annotated[Outcome, PlainValidator(fields.one_of(OUTCOMES)), words_shape(*OUTCOMES)] = setting(
        "What such an answer means."
    )


class ErrorSettings(Section):
    """Where an answer says what went wrong."""

    code: MaybePaths = setting("JMESPath of the code.", None)
    message: MaybePaths = setting("JMESPath of the message; anything there makes a success a failure.", None)


class ExpirySettings(Section):
    """Until when result URLs live: exactly one of these."""

    after: Annotated[float | None, PlainValidator(fields.duration), text_shape()] = setting(
        "So long after the answer that named them.", None, validate_default=False
    )
    at: MaybePaths = setting("JMESPath of the time: epoch seconds or milliseconds, or RFC 3339.", None)


class ResultSettings(Section):
    """A second request, once a task is completed: to a path, or to a URL of the answer."""

    path: MaybeLaterPath = setting("Below base_url, with {answer.a.b} too.", None, validate_default=False)
    url: MaybePaths = setting("JMESPath of a URL in the answer, on base_url's origin or one of hosts.", None)
    query: dict[QueryName, LaterQueryValue] = setting("Parameters of the query string.", {})
    headers: Annotated[dict[HeaderToSet, LaterHeaderTemplate], AfterValidator(distinct)] = setting(
        "Further headers.", {}
    )
    urls: MaybePaths = setting("JMESPath of the URLs in its answer; by default as above.", None)
    error: ErrorSettings | None = setting("Where its answer says what went wrong; by default as above.", None)
    rules: tuple[RuleSettings, ...] = setting("Rules for its answers.", ())


class DownloadSettings(Section):
    """Where the result can be fetched with our key, of an API that gives no URL."""

    path: LaterPath = setting("Below base_url, with {answer.a.b} too.")


class HintSettings(Section):
    """When a running answer says when to ask again: exactly one of these."""

    header: Annotated[str | None, PlainValidator(described.header_to_read), text_shape()] = setting(
        "The name of a header with seconds or a date.", None, validate_default=False
    )
    seconds: MaybePaths = setting("JMESPath of the seconds.", None)


class ProviderSettings(Section):
    """An API that runs tasks: the account, and how the API is asked and read."""

    preset: Annotated[
        str | None,
        PlainValidator(described.preset(PRESETS)),
        shape({"enum": [*PRESETS, None]}),
    ] = setting("The known API that these settings build upon; by default the one with the provider's own name.", None)
    docs: Annotated[str | None, PlainValidator(described.text_or_none), text_shape()] = setting(
        "Where the API is documented.", None
    )
    base_url: Annotated[str, PlainValidator(fields.base_url), text_shape(pattern="^https?://")] = setting(
        "Where the API is, by default the preset's; may be plain http and private."
    )
    api_key: Annotated[SecretStr, text_shape()] = setting("The key that auth sends.", "")
    auth: AuthSettings | None = setting("How the key is sent; null for none.", {"bearer": "{api_key}"})
    poll: PollSettings = setting("The request that asks how a task is.")
    vars: Annotated[dict[VariableName, Text], Field(max_length=MAX_VARIABLES)] = setting(
        "Further values that a watch gives: required, or the default.", {}
    )
    hosts: tuple[HostName, ...] = setting("Other hosts that may get the credentials.", ())
    rules: tuple[RuleSettings, ...] = setting("What answers mean before all else; the first that fits counts.", ())
    id: MaybePaths = setting("JMESPath of the id in the answer, which must be the task's if it is there.", "id")
    status: MaybePaths = setting("JMESPath of the status word.", None)
    running: tuple[Word, ...] = setting("Words that are known and not final.", ())
    completed: tuple[Word, ...] = setting("Words of a success, in any case.", ())
    failed: tuple[Word, ...] = setting("Words of a failure, in any case.", ())
    urls: MaybePaths = setting("JMESPath of the result URLs; left out: the API names none.", None)
    error: ErrorSettings | None = setting(
        "Where the answer says what went wrong.", {"code": "error.code", "message": ["error.message", "error"]}
    )
    progress: MaybePaths = setting("JMESPath of the progress: 0 to 1, per cent or 50%.", None)
    model: MaybePaths = setting("JMESPath of what runs the task.", None)
    expires: ExpirySettings | None = setting("Until when result URLs live.", None)
    result: ResultSettings | None = setting("A second request once a task is completed.", None)
    download: DownloadSettings | None = setting("Where the result can be fetched with our key.", None)
    hint: HintSettings | None = setting("When a running answer says when to ask again.", None)
    interval: Interval = setting(
        "Each task is polled this often; auto: when its end is due, in no more polls than 30s (or auto 45s).", "30s"
    )
    min_interval: Duration = setting("A watch that asks for less is refused.", "5s")
    deadline: Duration = setting("Give up on a task after this (event task.abandoned).", "24h")
    timeout: Duration = setting("One poll, from DNS to the last byte.", "30s")
    rate: Rate = setting("Polls against this provider, over all tasks: 10/s, 600/m or 36000/h.", "10/s")
    concurrency: Concurrency = setting("Polls in flight at once.", 32)
    not_found_grace: Duration = setting("A task that is not found, or refused, ends only after this and 3 polls.", "2m")


SECTIONS: dict[tuple[str, ...], type[Any]] = {
    (): ProviderSettings,
    ("auth",): AuthSettings,
    ("auth", "header"): HeaderAuthSettings,
    ("auth", "query"): QueryAuthSettings,
    ("auth", "body"): BodyAuthSettings,
    ("auth", "basic"): BasicAuthSettings,
    ("auth", "jwt_hs256"): TokenAuthSettings,
    ("poll",): PollSettings,
    ("rules", "*"): RuleSettings,
    ("error",): ErrorSettings,
    ("expires",): ExpirySettings,
    ("result",): ResultSettings,
    ("result", "error"): ErrorSettings,
    ("result", "rules", "*"): RuleSettings,
    ("download",): DownloadSettings,
    ("hint",): HintSettings,
}
"""Each mapping in a provider's section, by the keys that lead there."""
