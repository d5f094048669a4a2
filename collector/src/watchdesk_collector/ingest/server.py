"""The gRPC server: TLS, limits and keepalive around `IngestService`. Refuses to listen in the open without TLS."""

from collections.abc import Sequence

import grpc
import grpc.aio
from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_collector.ingest.config import IngestConfig
from watchdesk_collector.ingest.decode import parse_request
from watchdesk_collector.ingest.service import IngestService
from watchdesk_collector.listen import ListenError, is_loopback, parse_listen


def create_server(config: IngestConfig, service: IngestService) -> tuple[grpc.aio.Server, int]:
    """A server that is bound but not started, and its port. **Errors**: ListenError."""
    server = grpc.aio.server(options=_options(config))
    port = _bind(server, config)
    handler = grpc.stream_stream_rpc_method_handler(
        service.stream, request_deserializer=parse_request, response_serializer=pb.StreamResponse.SerializeToString
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("watchdesk.v1.IngestService", {"Stream": handler})])
    return server, port


def _bind(server: grpc.aio.Server, config: IngestConfig) -> int:
    try:
        return server.add_secure_port(config.listen, _credentials(config)) if config.tls_cert else _insecure_port(server, config)
    except RuntimeError as error:
        raise ListenError(f"ingest.listen = {config.listen!r} can't be opened: the port is in use or not yours; choose another port") from error


def _insecure_port(server: grpc.aio.Server, config: IngestConfig) -> int:
    address, _ = parse_listen(config.listen)
    if not is_loopback(address):
        raise ListenError(
            f"ingest.listen = {config.listen!r} is reachable from other machines and has no TLS; "
            "set ingest.tls_cert and ingest.tls_key, or listen on 127.0.0.1"
        )
    return server.add_insecure_port(config.listen)


def _credentials(config: IngestConfig) -> grpc.ServerCredentials:
    if config.tls_key is None or config.tls_cert is None:
        raise ListenError("ingest.tls_cert is set and ingest.tls_key isn't; set both")
    try:
        return grpc.ssl_server_credentials([(config.tls_key.read_bytes(), config.tls_cert.read_bytes())])
    except OSError as error:
        raise ListenError(f"{error.filename} can't be read: {error.strerror}; check ingest.tls_cert and ingest.tls_key") from error


def _options(config: IngestConfig) -> Sequence[tuple[str, int]]:
    return (
        ("grpc.max_receive_message_length", 4 * config.max_batch_bytes + 65536),  # up to here an oversized batch is rejected, not the stream
        ("grpc.so_reuseport", 0),  # else a second collector would share the port in silence
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 1_000),  # agents ping every 2 s
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    )
