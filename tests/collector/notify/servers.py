"""A real mail server and a real web server on port 0, which keep what they get and fail on demand."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import trustme
from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Inbox:
    """Wakes those who wait until so many messages are there."""

    def __init__(self) -> None:
        self._count = 0
        self._more = asyncio.Event()

    def add(self) -> None:
        self._count += 1
        self._more.set()

    async def hold(self, count: int) -> None:
        """Return once `count` messages have come; TimeoutError when they do not."""
        async with asyncio.timeout(60):
            while self._count < count:
                self._more.clear()
                await self._more.wait()


@dataclass
class MailServer:
    """Takes mail of user `watchdesk` with password `pässword` over STARTTLS. `refusals` are answers to give instead, one for each mail."""

    port: int = 0
    received: list[EmailMessage] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    refused_recipients: dict[str, str] = field(default_factory=dict)
    was_encrypted: list[bool] = field(default_factory=list)
    inbox: Inbox = field(default_factory=Inbox)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self.refused_recipients:
            return self.refused_recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        assert isinstance(envelope.content, bytes)
        self.received.append(message_from_bytes(envelope.content, policy=policy.default))
        self.was_encrypted.append(session.ssl is not None)
        self.inbox.add()
        return "250 Message accepted"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any) -> AuthResult:
        assert isinstance(login, LoginPassword)
        return AuthResult(success=(login.login, login.password) == (b"watchdesk", "pässword".encode()), handled=False)


@asynccontextmanager
async def mail_server(authority: trustme.CA, *, implicit_tls: bool = False, plain: bool = False) -> AsyncIterator[MailServer]:
    server = MailServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    needs: dict[str, Any] = {} if plain or implicit_tls else {"tls_context": context, "require_starttls": True}
    login: dict[str, Any] = {} if plain else {"authenticator": server.authenticate, "auth_required": True, "auth_require_tls": not implicit_tls}

    def make() -> SMTP:
        return SMTP(server, hostname="mail.example.org", **needs, **login)

    listening = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=context if implicit_tls else None)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


@dataclass
class Hook:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes


@dataclass
class HookServer:
    """Answers 204, or the next of `answers`; `hold` keeps a request waiting."""

    port: int = 0
    received: list[Hook] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    hold: asyncio.Event | None = None
    inbox: Inbox = field(default_factory=Inbox)

    async def answer(self, request: web.Request) -> web.Response:
        self.received.append(Hook(headers=dict(request.headers), body=await request.read()))
        self.inbox.add()
        if self.hold is not None:
            await self.hold.wait()
        status = self.answers.pop(0) if self.answers else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"} if 300 <= status < 400 else {})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/token-in-the-path"


@asynccontextmanager
async def hook_server() -> AsyncIterator[HookServer]:
    server = HookServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
