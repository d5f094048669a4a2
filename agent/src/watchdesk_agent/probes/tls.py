"""TLS for probes: the handshake, and when the target's certificate expires, also when it is refused."""

import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from watchdesk_agent.probes.attempt import Attempt, Phase, ProbeFailure
from watchdesk_agent.probes.certificate import expires_at
from watchdesk_agent.probes.connect import connect
from watchdesk_agent.probes.target import Address


def make_context(*, verify: bool, ca_file: Path | None) -> ssl.SSLContext:
    """What to trust. **Errors**: ProbeFailure when `ca_file` cannot be used."""
    if not verify:
        return _blind_context()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ProbeFailure(f"ca_file {ca_file} cannot be used: {error.strerror or error}") from error


def _blind_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class TlsConnector:
    """Makes encrypted connections to whatever host a probe, or a redirect, leads to. Making its context costs 20 ms: once, when first needed."""

    def __init__(self, *, verify: bool, ca_file: Path | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._verify = verify
        self._ca_file = ca_file
        self._now = now
        self._context: ssl.SSLContext | None = None

    def connect(self, address: Address, attempt: Attempt) -> ssl.SSLSocket:
        """An encrypted connection. **Errors**: ProbeFailure."""
        if self._context is None:
            self._context = make_context(verify=self._verify, ca_file=self._ca_file)
        connection = connect(address, attempt)
        try:
            with attempt.phase(Phase.TLS):
                encrypted = _shake_hands(connection, self._context, address, attempt)
        except CertificateRefusedError:
            self._note_refused(address, attempt)
            raise
        finally:
            connection.close()
        self._note_expiry(encrypted, attempt)
        return encrypted

    def _note_refused(self, address: Address, attempt: Attempt) -> None:
        """A refused certificate cannot be read from the connection that refused it, so ask for it once more without judging."""
        try:
            second_look = Attempt(timeout_s=attempt.remaining_s(), monotonic_s=attempt.monotonic_s)
            with connect(address, second_look) as connection, _shake_hands(connection, _blind_context(), address, second_look) as encrypted:
                self._note_expiry(encrypted, attempt)
        except (OSError, ProbeFailure):
            return

    def _note_expiry(self, encrypted: ssl.SSLSocket, attempt: Attempt) -> None:
        """Of several certificates (redirects), the one that expires first counts."""
        der = encrypted.getpeercert(binary_form=True)
        expiry = expires_at(der) if der else None
        if expiry is None:
            return
        left_s = (expiry - self._now()).total_seconds()
        known_s = attempt.certificate_expires_s
        attempt.certificate_expires_s = left_s if known_s is None else min(known_s, left_s)


class CertificateRefusedError(ProbeFailure):
    """The target's certificate is expired, for another host, or of an unknown authority."""


def _shake_hands(connection: socket.socket, context: ssl.SSLContext, address: Address, attempt: Attempt) -> ssl.SSLSocket:
    """`connection` itself is empty afterwards: the encrypted one has taken its file descriptor."""
    connection.settimeout(attempt.remaining_s())
    try:
        return context.wrap_socket(connection, server_hostname=address.host)
    except ssl.SSLCertVerificationError as error:
        raise CertificateRefusedError(f"the certificate is refused: {error.verify_message}") from error
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise ProbeFailure(f"the TLS handshake failed: {reason}; does this port speak TLS?") from error
