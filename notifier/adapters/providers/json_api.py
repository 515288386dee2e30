"""A provider that answers a GET with JSON: ask once, translate, never retry."""

from collections.abc import Mapping
from urllib.parse import quote

from notifier.adapters.http import Fault, Http
from notifier.adapters.providers.presets import Preset
from notifier.domain.answer import MAX_ANSWER_BYTES, Answer, Unavailable, interpret
from notifier.ports import Clock


class JsonApi:
    """Implements the Provider port. The key goes to `base_url` only, for redirects are not followed."""

    def __init__(
        self,
        preset: Preset,
        *,
        base_url: str,
        api_key: str,
        timeout: float,
        http: Http,
        clock: Clock,
        user_agent: str,
    ) -> None:
        self._preset = preset
        self._url = base_url.rstrip("/") + preset.path
        self._headers: Mapping[str, str] = {
            "authorization": f"Bearer {api_key}",
            "accept": "application/json",
            "user-agent": user_agent,
        }
        self._timeout = timeout
        self._http = http
        self._clock = clock

    async def poll(self, task_id: str, variables: Mapping[str, str]) -> Answer:
        url = self._url.replace("{task_id}", quote(task_id, safe=""))
        reply = await self._http.get(url, headers=self._headers, timeout=self._timeout, cap=MAX_ANSWER_BYTES)
        if isinstance(reply, Fault):
            return Unavailable(reply.message)
        return interpret(
            http_status=reply.status,
            retry_after=reply.headers.get("retry-after"),
            body=reply.body,
            truncated=reply.truncated,
            task_id=task_id,
            now=self._clock.now(),
            read=self._preset.read,
        )
