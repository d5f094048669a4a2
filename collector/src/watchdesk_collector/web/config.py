"""The `[web]` table of the collector's configuration."""

from dataclasses import dataclass

from watchdesk_proto.settings import Form, setting

from watchdesk_collector.listen import is_loopback, parse_listen


def _listen_complaint(listen: str) -> str | None:
    try:
        address, _ = parse_listen(listen)
    except ValueError as error:
        return f"is wrong: {error}"
    if is_loopback(address):
        return None
    return (
        f'is {listen!r}, which other machines can reach, and the pages have no logins; listen on "127.0.0.1:9780" '
        "and reach it through ssh -L or a reverse proxy that asks for a password"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """Where pages are served and how fresh they are."""

    listen: str = setting("127.0.0.1:9780", help="Address and port of the pages and the API; loopback alone.", check=_listen_complaint)
    hosts: tuple[str, ...] = setting(
        (),
        help="More names under which browsers reach the pages, such as a reverse proxy's; any other Host header is refused.",
        example='["watch.example.org"]',
    )
    refresh_interval: float = setting("5s", form=Form.DURATION, help="How old a shown status may be; open pages are told at this pace.")
    silent_after: float = setting("1m", form=Form.DURATION, help="A host that sent nothing for this long is shown as silent.")
    query_timeout: float = setting("20s", form=Form.DURATION, help="A page gives up on history after this long and says so.")
    max_event_streams: int = setting(
        200, help="Open pages that are told about fresh data at once; further ones work but do not refresh by themselves."
    )
