"""Stylesheet, scripts and pictures: read once at start, served under addresses that change with their content, so that browsers may keep them."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """One file; `version` is a hash of its content."""

    body: bytes
    content_type: str
    version: str


class StaticFiles:
    """What the package carries in `web/static/`, by path below it. Nothing else can be asked for, so no path can lead outside."""

    def __init__(self, by_path: Mapping[str, StaticFile]) -> None:
        self._by_path = by_path

    @classmethod
    def from_package(cls) -> "StaticFiles":
        return cls(_read(files("watchdesk_collector.web").joinpath("static"), prefix=""))

    @property
    def paths(self) -> Collection[str]:
        return self._by_path.keys()

    def __contains__(self, path: str) -> bool:
        return path in self._by_path

    def __getitem__(self, path: str) -> StaticFile:
        return self._by_path[path]

    def url(self, path: str) -> str:
        """**Errors**: KeyError when there is no such file."""
        return f"/static/{path}?v={self._by_path[path].version}"


STATIC: web.AppKey[StaticFiles] = web.AppKey("static", StaticFiles)


async def static_file(request: web.Request) -> web.Response:
    """For ever when the address names the version, else asked for each time."""
    path = request.match_info["path"]
    if path not in request.app[STATIC]:
        raise web.HTTPNotFound
    file = request.app[STATIC][path]
    is_versioned = request.query.get("v") == file.version
    caching = "public, max-age=31536000, immutable" if is_versioned else "no-cache"
    response = web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers={"Cache-Control": caching})
    response.enable_compression()
    return response


def _read(folder: Traversable, *, prefix: str) -> dict[str, StaticFile]:
    found: dict[str, StaticFile] = {}
    for entry in folder.iterdir():
        path = prefix + entry.name
        if entry.is_dir():
            found |= _read(entry, prefix=f"{path}/")
        elif content_type := _TYPES.get(entry.name.rpartition(".")[2]):
            body = entry.read_bytes()
            found[path] = StaticFile(body=body, content_type=content_type, version=hashlib.sha256(body).hexdigest()[:12])
    return found
