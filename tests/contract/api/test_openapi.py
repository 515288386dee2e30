"""The OpenAPI document: true, whole, and valid. That answers keep to it is held by every other test here."""

import json
import re
from typing import Any

import pytest

from tests.contract.api.test_operations import EVERY_V1_CALL
from tests.contract.api.world import World

OTHERS = [
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/.well-known/webhook-keys"),
]


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method.upper(), path): one for path, ones in document["paths"].items() for method, one in ones.items()}


def references(value: Any) -> set[str]:
    return set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(value)))


async def test_every_call_is_described_and_nothing_else(world: World) -> None:
    """The document and the routes have the same calls."""
    expected = {
        (
            method,
            path.replace("wch_1", "{watch_id}")
            .replace("files/0", "files/{n}")
            .replace("evt_1", "{delivery_id}")
            .replace("ep_1", "{endpoint_id}"),
        )
        for method, path in (*EVERY_V1_CALL, *OTHERS)
    }
    assert operations(world.document).keys() == expected
    assert world.document["openapi"].startswith("3.1")
    assert world.document["info"] == {
        "title": "Notifier",
        "version": "1.2.3",
        "description": world.document["info"]["description"],
    }


async def test_every_reference_leads_somewhere(world: World) -> None:
    """And no component is there that nothing refers to."""
    assert references(world.document) == set(world.document["components"]["schemas"])


async def test_operation_ids_are_unique(world: World) -> None:
    """Client generators make names of them."""
    ids = [one["operationId"] for one in operations(world.document).values()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z_]+", one) for one in ids)


async def test_every_refusal_is_a_problem_document(world: World) -> None:
    """Under its own media type; readiness alone answers 503 with its checks."""
    for (_, path), operation in operations(world.document).items():
        for status, answer in operation["responses"].items():
            if status >= "400" and path != "/readyz":
                assert list(answer["content"]) == ["application/problem+json"]


async def test_bodies_are_described(world: World) -> None:
    """The calls that take a body, each with an example."""
    taking = {key: one["requestBody"] for key, one in operations(world.document).items() if "requestBody" in one}
    assert taking.keys() == {
        ("POST", "/v1/watches"),
        ("POST", "/v1/watches/batch"),
        ("POST", "/v1/endpoints"),
        ("PATCH", "/v1/endpoints/{endpoint_id}"),
        ("POST", "/v1/endpoints/test"),
    }
    for body in taking.values():
        (name,) = references(body)
        assert body["required"]
        assert "example" in json.dumps(world.document["components"]["schemas"][name])


async def test_durations_are_described_as_they_are_read(world: World) -> None:
    """The pattern takes what the intake takes and refuses what it refuses."""
    text, _, _ = world.document["components"]["schemas"]["NewWatch"]["properties"]["deadline"]["anyOf"]
    for written, status in (("90", 201), ("1.5h", 201), ("1h30m", 201), ("soon", 422), ("010", 422), ("5 m", 422)):
        body = {"task_id": written, "callback_url": "https://app.example.com/", "deadline": written}
        assert (await world.call("POST", "/v1/watches", body)).status_code == status
        assert bool(re.search(text["pattern"], written)) == (status == 201)


async def test_a_parameter_is_text_or_absent(world: World) -> None:
    """A query string cannot say null, so no parameter is described as nullable."""
    for operation in operations(world.document).values():
        for parameter in operation.get("parameters", ()):
            assert "null" not in json.dumps(parameter["schema"])
            assert parameter["required"] == (parameter["in"] == "path")


async def test_it_says_whether_a_token_is_needed(world: World, guarded: World) -> None:
    """A token is asked for only where one is configured, and never for health, readiness and keys."""
    assert world.document["security"] == []
    assert guarded.document["security"] == [{"bearer": []}]
    scheme = guarded.document["components"]["securitySchemes"]["bearer"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    open_paths = {path for (_, path), one in operations(guarded.document).items() if one.get("security") == []}
    assert open_paths == {"/healthz", "/readyz", "/.well-known/webhook-keys"}


@pytest.mark.parametrize("path", ["/v1/watches", "/metrics"])
async def test_a_guarded_call_documents_its_refusals(world: World, path: str) -> None:
    """401 with its challenge, 429 and 503 with when to come back."""
    answers = operations(world.document)["GET", path]["responses"]
    assert "WWW-Authenticate" in answers["401"]["headers"]
    assert "Retry-After" in answers["429"]["headers"]
    assert "Retry-After" in answers["503"]["headers"]


async def test_no_default_contradicts_its_own_schema(world: World) -> None:
    """A member that can never be given has no default either."""
    document = (await world.call("GET", "/openapi.json")).json()
    for name, schema in document["components"]["schemas"].items():
        for member, described in schema.get("properties", {}).items():
            assert not {"not", "default"} <= described.keys(), (name, member)
