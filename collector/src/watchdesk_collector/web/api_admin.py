"""What changes the collector's state, for the CLI and for programs: silences, forgetting a host, test messages. All of it needs the token."""

import asyncio
import difflib

from aiohttp import web
from watchdesk_proto.settings import parse_duration

from watchdesk_collector.ops import silences
from watchdesk_collector.ops.hosts import StillConnected
from watchdesk_collector.ops.silences import Silence, UnknownTarget, target_named
from watchdesk_collector.web.auth import require_token
from watchdesk_collector.web.bodies import read_object
from watchdesk_collector.web.deps import DEPS
from watchdesk_collector.web.words import iso


@require_token
async def add_silence(request: web.Request) -> web.Response:
    """`{"target": "web1", "for": "2h", "reason": "…"}`: a host's or a rule's name."""
    deps = request.app[DEPS]
    asked = await read_object(request, {"target": str, "for": str, "reason": str})
    if not asked["target"] or not asked["for"]:
        raise web.HTTPBadRequest(text='a silence needs a target, the name of a host or a rule, and a time, as in {"target": "web1", "for": "2h"}')
    try:
        target = target_named(asked["target"], hosts=[host.name for host in deps.hosts.list()], rules=deps.rules)
        for_s = parse_duration(asked["for"])
        silence = await asyncio.to_thread(silences.add, deps.ops, target, for_s=for_s, comment=asked["reason"] or "", at=deps.clock.now())
    except UnknownTarget as error:
        raise web.HTTPNotFound(text=str(error)) from error
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return web.json_response({"silence": _silence(silence)}, status=201)


@require_token
async def list_silences(request: web.Request) -> web.Response:
    """The silences in force, those that end first first."""
    deps = request.app[DEPS]
    found = await asyncio.to_thread(silences.active, deps.ops, at=deps.clock.now())
    return web.json_response({"silences": [_silence(silence) for silence in found]})


@require_token
async def remove_silence(request: web.Request) -> web.Response:
    """Ends one early, by its id."""
    deps = request.app[DEPS]
    written = request.match_info["id"]
    silence = await asyncio.to_thread(silences.remove, deps.ops, int(written), at=deps.clock.now()) if written.isdecimal() else None
    if silence is None:
        raise web.HTTPNotFound(text=f"there is no silence {written} in force; `watchdesk silences` lists them")
    return web.json_response({"silence": _silence(silence)})


@require_token
async def remove_host(request: web.Request) -> web.Response:
    """Stops watching a host and frees its name; should its agent return, it is taken in anew."""
    deps = request.app[DEPS]
    name = request.match_info["name"]
    try:
        was_there = await asyncio.to_thread(deps.hosts.remove, name)
    except StillConnected as error:
        raise web.HTTPConflict(text=str(error)) from error
    if not was_there:
        near = difflib.get_close_matches(name, [host.name for host in deps.hosts.list()], n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]!r}?" if near else "`watchdesk hosts list` lists them"
        raise web.HTTPNotFound(text=f"there is no host {name!r}; {remedy}")
    return web.json_response({"removed": name})


@require_token
async def test_notify(request: web.Request) -> web.Response:
    """`{"receiver": "NAME"}`, or all without one. **Shapes**: `{"receivers": {name: null when delivered, else why not}}`."""
    deps = request.app[DEPS]
    asked = await read_object(request, {"receiver": str})
    try:
        outcome = await deps.notify_test(asked["receiver"])
    except KeyError as error:
        raise web.HTTPNotFound(
            text=f"there is no receiver {asked['receiver']!r}; they are called as in the configuration, email.NAME or webhook.NAME"
        ) from error
    return web.json_response({"receivers": dict(outcome)})


def _silence(silence: Silence) -> dict[str, object]:
    return {
        "id": silence.id,
        "host": silence.target.host,
        "rule": silence.target.rule,
        "reason": silence.comment,
        "created_at": iso(silence.created_at),
        "until": iso(silence.until),
    }
