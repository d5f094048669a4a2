"""One attempt of a probe: its deadline, the phases it went through, and what it came to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from watchdesk_agent.model import Row
from watchdesk_agent.probes.config import ProbeConfig


class Phase(StrEnum):
    """What an attempt spends its time with, as an error message puts it."""

    DNS = "looking up the address"
    CONNECT = "connecting"
    TLS = "agreeing on encryption"
    FIRST_BYTE = "waiting for the answer"
    BODY = "reading the answer"


class ProbeFailure(Exception):
    """Why an attempt did not succeed, in words for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt came to; `error` is None when it succeeded."""

    error: str | None
    duration_s: float
    dns_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None
    status_code: int | None = None
    certificate_expires_s: float | None = None


class Attempt:
    """What a prober writes down while it tries. Phases of several requests (redirects) add up."""

    def __init__(self, *, timeout_s: float, monotonic_s: Callable[[], float]) -> None:
        self._timeout_s = timeout_s
        self.monotonic_s = monotonic_s
        self._started_s = monotonic_s()
        self._phases: dict[Phase, float] = {}
        self.status_code: int | None = None
        self.certificate_expires_s: float | None = None

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Take the time of a phase, also when it fails. **Errors**: every OSError becomes a ProbeFailure."""
        started_s = self.monotonic_s()
        try:
            yield
        except TimeoutError as error:
            raise ProbeFailure(f"no answer within {self._timeout_s:g} s, while {phase}") from error
        except OSError as error:
            raise ProbeFailure(f"while {phase}: {error.strerror or error}") from error
        finally:
            self._phases[phase] = self._phases.get(phase, 0.0) + self.monotonic_s() - started_s

    def remaining_s(self) -> float:
        """Until the deadline. **Errors**: TimeoutError at it."""
        left_s = self._started_s + self._timeout_s - self.monotonic_s()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def outcome(self, error: str | None) -> Outcome:
        """What was written down, with the time until now as the duration."""
        return Outcome(
            error=error,
            duration_s=self.monotonic_s() - self._started_s,
            dns_s=self._phases.get(Phase.DNS),
            connect_s=self._phases.get(Phase.CONNECT),
            tls_s=self._phases.get(Phase.TLS),
            first_byte_s=self._phases.get(Phase.FIRST_BYTE),
            status_code=self.status_code,
            certificate_expires_s=self.certificate_expires_s,
        )


class Prober(Protocol):
    """Tries one kind of target."""

    def attempt(self, attempt: Attempt) -> None:
        """Try once; to return is to succeed. **Errors**: ProbeFailure says why it did not."""
        ...


def measure_probe(probe: ProbeConfig, outcome: Outcome) -> Row:
    """The row of an attempt."""
    return (
        *(probe.name, probe.kind.value, probe.target),
        int(outcome.error is None),
        outcome.duration_s,
        outcome.dns_s,
        outcome.connect_s,
        outcome.tls_s,
        outcome.first_byte_s,
        outcome.status_code,
        outcome.certificate_expires_s,
        outcome.error,
    )
