"""How agent and collector know each other: the bearer token, and the channel that carries it.

Both files are read anew for each attempt, so that they can be put in place or changed while the agent runs.
"""

from pathlib import Path

import grpc

from watchdesk_agent.uplink.config import UplinkConfig

KEEPALIVE = (
    ("grpc.keepalive_time_ms", 2_000),  # a partition is noticed in 2.4 s instead of 15 s
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.enable_retries", 0),  # the uplink itself tries again
)


class CredentialError(Exception):
    """A token or certificate that cannot be used; the message names the file and the remedy."""


def read_token(config: UplinkConfig) -> str:
    """**Errors**: CredentialError."""
    token = _read(config.token_file, "collector.token_file").decode("utf-8", "replace").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise CredentialError(f"{config.token_file} does not hold a token; put the contents of the collector's agent.token into it")
    return token


def open_channel(config: UplinkConfig) -> grpc.Channel:
    """A channel that connects when it is used. **Errors**: CredentialError."""
    if config.insecure:
        return grpc.insecure_channel(config.address, options=KEEPALIVE)
    authority = None if config.ca_file is None else _read(config.ca_file, "collector.ca_file")
    if authority is not None and b"-----BEGIN CERTIFICATE-----" not in authority:
        raise CredentialError(f"{config.ca_file} holds no PEM certificate; put the authority of the collector's certificate into it")
    return grpc.secure_channel(config.address, grpc.ssl_channel_credentials(authority), options=KEEPALIVE)


def check_credentials(config: UplinkConfig) -> None:
    """**Errors**: CredentialError when a connection would not even be tried."""
    read_token(config)
    open_channel(config).close()


def _read(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialError(f"{path} cannot be read: {error.strerror}; put it there, or change {key}") from error
