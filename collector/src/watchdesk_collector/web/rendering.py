"""HTML from templates: escaped by default, and a name that a template misspells is an error rather than an empty space."""

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from watchdesk_collector.web import words
from watchdesk_collector.web.static_files import StaticFiles


class Templates:
    """The templates of the package, with the filters that turn values into words."""

    def __init__(self, *, static: StaticFiles, version: str) -> None:
        self._environment = Environment(
            loader=PackageLoader("watchdesk_collector.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.filters.update(words.FILTERS)
        self._environment.globals.update(static=static, version=version)

    def render(self, name: str, **context: object) -> str:
        return self._environment.get_template(name).render(context)


TEMPLATES: web.AppKey[Templates] = web.AppKey("templates", Templates)
