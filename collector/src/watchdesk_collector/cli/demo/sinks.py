"""Where the demo's messages arrive: a mail server that insists on STARTTLS and a password, and an HTTP server that verifies signatures.

Each runs in threads of its own and keeps what came, in order, in `received`. Invariant: what is in `received` was answered with success; a mail that
came without TLS or password and a webhook with a wrong signature are refused.
"""

import email
import email.policy
import hashlib
import hmac
import json
import logging
import queue
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from watchdesk_collector.cli.demo.certificates import TlsFiles

_MAX_BODY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """An email as it came."""

    message: EmailMessage

    @property
    def text(self) -> str:
        """The plain-text part."""
        body = self.message.get_body(("plain",))
        return "" if body is None else str(body.get_content())

    @property
    def tells_of_recovery(self) -> bool:
        return self.text.startswith("RESOLVED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook whose signature was right."""

    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The body as one line of JSON."""
        return json.dumps(self.body, ensure_ascii=False)

    @property
    def tells_of_recovery(self) -> bool:
        return bool(self.body.get("status") == "resolved")

    @property
    def idempotency_key(self) -> str:
        return self.headers.get("Idempotency-Key", "")


class MailSink:
    """A mail server on 127.0.0.1 that takes mail over STARTTLS from one user."""

    def __init__(self, *, port: int, tls: TlsFiles, user: str, password: str) -> None:
        logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd warns of a deprecation that is its own
        self.port = port
        self.received: queue.Queue[Mail] = queue.Queue()
        self._login = LoginPassword(user.encode(), password.encode())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        self._controller = Controller(
            self, hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True, auth_required=True, authenticator=self._authenticate
        )

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content or b""
        message = email.message_from_bytes(content if isinstance(content, bytes) else content.encode(), policy=email.policy.default)
        self.received.put(Mail(message=message))
        return "250 taken"

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object) -> AuthResult:
        return AuthResult(success=given == self._login, handled=False)  # not handled: the server answers the client


class HookSink:
    """An HTTP server on 127.0.0.1 that takes signed webhooks."""

    def __init__(self, *, port: int, secret: str) -> None:
        self.received: queue.Queue[Hook] = queue.Queue()
        self.refused = 0
        self._secret = secret.encode()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler(), bind_and_activate=False)
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook sink")

    @property
    def port(self) -> int:
        return self._server.server_port

    def start(self) -> None:
        self._server.server_bind()
        self._server.server_activate()
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Keep the webhook if its signature is right; whether it is."""
        signed = headers.get("X-Watchdesk-Timestamp", "").encode() + b"." + body
        expected = "sha256=" + hmac.new(self._secret, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(headers.get("X-Watchdesk-Signature", ""), expected):
            self.refused += 1
            return False
        self.received.put(Hook(headers=dict(headers), body=json.loads(body)))
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length", "0")), _MAX_BODY_BYTES)
                taken = sink.take(dict(self.headers.items()), self.rfile.read(length))
                self.send_response(204 if taken else 401)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Requests are shown by the demo itself."""

        return Handler
