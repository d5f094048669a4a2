"""Bodies of requests: JSON objects with known keys, checked here so that a handler gets values it can use."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

_WORDS = {str: "a text", int: "a whole number", float: "a number"}


async def read_object(request: web.Request, keys: Mapping[str, type]) -> dict[str, Any]:
    """The request's JSON object, whose values are of the given types; a key that is absent or null is None.

    **Errors**: HTTPBadRequest, with what is wrong and which keys there are.
    """
    try:
        document = json.loads(await request.text())
    except (ValueError, LookupError) as error:
        raise web.HTTPBadRequest(text=f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise web.HTTPBadRequest(text=f"the body must be a JSON object with {_listed(keys)}")
    if unknown := [key for key in document if key not in keys]:
        raise web.HTTPBadRequest(text=f"{unknown[0]!r} is not known here; the keys are {_listed(keys)}")
    return {key: _value(key, document.get(key), wanted) for key, wanted in keys.items()}


def _value(key: str, value: Any, wanted: type) -> Any:
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is float and is_number:
        return float(value)
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise web.HTTPBadRequest(text=f"{key} must be {_WORDS[wanted]}")
    return value


def _listed(keys: Mapping[str, type]) -> str:
    return ", ".join(keys)
