"""Why a stream ended, in one sentence for the log, and how long to wait before the next. Pure."""

from dataclasses import dataclass

import grpc

from watchdesk_agent.uplink.config import UplinkConfig

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 5.0
MAX_REFUSED_BACKOFF_S = 60.0

_REFUSALS = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no stream. A refusal: trying again soon is pointless, somebody must change something first."""

    sentence: str
    is_refusal: bool = False


def describe(code: grpc.StatusCode, details: str, config: UplinkConfig) -> Trouble:
    """What happened to a stream, with the remedy where there is one."""
    collector = f"the collector at {config.address}"
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return Trouble(f"{collector} refuses the token in {config.token_file}: {details}", is_refusal=True)
    if code in _REFUSALS:
        return Trouble(f"{collector} refuses this agent: {details}", is_refusal=True)
    if code is grpc.StatusCode.UNAVAILABLE:
        return Trouble(f"{collector} is not reachable, samples wait in the spool: {details.rpartition('last error: ')[2]}")
    if code is grpc.StatusCode.CANCELLED:
        return Trouble(f"{collector} does not answer, samples wait in the spool; is it a Watchdesk collector?")
    return Trouble(f"{collector} ended the stream, samples wait in the spool: {details or code.name}")


def backoff_s(attempts: int, *, is_refused: bool, random: float) -> float:
    """Seconds to wait after so many attempts in vain; `random` from 0 to 1 spreads a fleet over the second half of the time."""
    longest_s = MAX_REFUSED_BACKOFF_S if is_refused else MAX_BACKOFF_S
    return min(longest_s, FIRST_BACKOFF_S * 2.0 ** min(attempts, 16)) * (0.5 + random / 2)
