"""Prometheus remote write 1.0: the body of a request (protobuf, snappy), and connections that send many of them.

Bodies are put together for a whole series of batches at once, since they differ in nothing but values and timestamps. As Prometheus itself does, a
zero is left out of its sample. Nothing here is part of the product.
"""

import selectors
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from protobuf_parts import length_delimited
from walks import known
from watchdesk_collector.model import Table
from watchdesk_proto.catalogue import Measurement, Type

HEADERS = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
SAMPLE_BYTES = 18  # 0x12 length 0x09 double 0x10 varint: 2 + 9 + 1 + 6
VALUE_BYTES = 9
TIME_VARINT_BYTES = 6  # milliseconds until the year 2109

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of one host: its labels as a TimeSeries has them, and its samples; nulls are not among them."""

    labels: bytes
    times_ms: Ints
    values: Floats


def series_of(table: Table, measurement: Measurement, host: str) -> Iterator[Series]:
    """A series per combination of labels and numeric column, named `<measurement>_<column>`."""
    labels = [index for index, column in enumerate(measurement.columns, start=1) if column.type is Type.TEXT]
    codes, part_of_row = np.unique(table.words[labels], axis=1, return_inverse=True)
    for part in range(codes.shape[1]):
        words = table.words[:, part_of_row.reshape(-1) == part]
        names = {measurement.columns[index - 1].name: table.texts[code] for index, code in zip(labels, codes[:, part], strict=True) if code >= 0}
        for column, row in zip(measurement.columns, words[1:], strict=True):
            if column.type is Type.TEXT:
                continue
            values = row.view(np.float64) if column.type is Type.FLOAT64 else row.astype(np.float64)
            has_number = known(column, row)
            yield Series(
                labels=encode_labels({"__name__": f"{measurement.name}_{column.name}", "host": host, **names}),
                times_ms=words[0][has_number] // 1000,
                values=values[has_number],
            )


def encode_labels(labels: Mapping[str, str]) -> bytes:
    """The labels of a TimeSeries, sorted by name as the protocol asks."""
    return b"".join(
        length_delimited(1, length_delimited(1, name.encode()) + length_delimited(2, value.encode())) for name, value in sorted(labels.items())
    )


def bodies(every_series: Sequence[Series], *, ticks: int) -> list[bytes]:
    """Request bodies of `ticks` samples of each of these series, which have the same number of samples each."""
    parts = [_time_series(series, ticks) for series in every_series]
    content = np.concatenate([bytes_ for bytes_, _ in parts], axis=1)
    kept = np.concatenate([keep for _, keep in parts], axis=1)
    return [pa.compress(row[keep].tobytes(), codec="snappy", asbytes=True) for row, keep in zip(content, kept, strict=True)]


def body(every_series: Sequence[Series]) -> bytes:
    """One request with all samples of these series."""
    parts = [_time_series(series, len(series.values)) for series in every_series if len(series.values)]
    content = b"".join(bytes_[keep].tobytes() for bytes_, keep in parts)
    return pa.compress(content, codec="snappy", asbytes=True)


def _time_series(series: Series, ticks: int) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """One WriteRequest.timeseries per batch; and which of its bytes there are, for a zero has none."""
    samples, keep = _samples(series, ticks)
    lengths = len(series.labels) + keep.sum(axis=1)
    head = np.zeros((len(samples), 4 + len(series.labels)), np.uint8)
    head[:, 0] = 0x0A
    head[:, 1:4] = _padded_varints(lengths, 3)
    head[:, 4:] = np.frombuffer(series.labels, np.uint8)
    return np.concatenate([head, samples], axis=1), np.concatenate([np.ones(head.shape, np.bool_), keep], axis=1)


def _samples(series: Series, ticks: int) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    count = len(series.values)
    is_zero = series.values == 0
    samples = np.zeros((count, SAMPLE_BYTES), np.uint8)
    samples[:, 0] = 0x12
    samples[:, 1] = SAMPLE_BYTES - 2 - VALUE_BYTES * is_zero
    samples[:, 2] = 0x09
    samples[:, 3:11] = series.values.astype("<f8").view(np.uint8).reshape(count, 8)
    samples[:, 11] = 0x10
    samples[:, 12:] = _padded_varints(series.times_ms, TIME_VARINT_BYTES)
    keep = np.ones(samples.shape, np.bool_)
    keep[:, 2:11] = ~is_zero[:, None]
    return samples.reshape(-1, ticks * SAMPLE_BYTES), keep.reshape(-1, ticks * SAMPLE_BYTES)


def _padded_varints(numbers: Ints, width: int) -> Bytes:
    """Varints of a fixed width: all bytes but the last say that one more follows."""
    varints = (numbers[:, None] >> (7 * np.arange(width))) & 0x7F
    varints[:, :-1] |= 0x80
    return varints.astype(np.uint8)


@dataclass(slots=True)
class _Connection:
    """One sender: the next body leaves when the last one is answered."""

    socket: socket.socket
    waiting: Iterator[bytes] = field(default_factory=lambda: iter(()))
    received: bytes = b""


class Connections:
    """Kept-alive connections to one server, each with at most one request under way."""

    def __init__(self, address: tuple[str, int], path: str, count: int) -> None:
        self._head = f"POST {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n{HEADERS}Content-Length: "
        self._connections = [_Connection(socket.create_connection(address)) for _ in range(count)]
        for connection in self._connections:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, bodies_by_connection: Sequence[Sequence[bytes]]) -> None:
        """Send everything and await every answer. **Errors**: ValueError for an answer that is not 2xx."""
        with selectors.DefaultSelector() as selector:
            for connection, waiting in zip(self._connections, bodies_by_connection, strict=True):
                connection.waiting = iter(waiting)
                selector.register(connection.socket, selectors.EVENT_READ, connection)
                self._send_next(connection, selector)
            while selector.get_map():
                for key, _ in selector.select():
                    if _is_answered(key.data):
                        self._send_next(key.data, selector)

    def close(self) -> None:
        for connection in self._connections:
            connection.socket.close()

    def _send_next(self, connection: _Connection, selector: selectors.BaseSelector) -> None:
        body = next(connection.waiting, None)
        if body is None:
            selector.unregister(connection.socket)
        else:
            connection.socket.sendall(f"{self._head}{len(body)}\r\n\r\n".encode() + body)


def _is_answered(connection: _Connection) -> bool:
    """Read what came; whether a whole answer is there. Success has no content."""
    data = connection.socket.recv(65536)
    if not data:
        raise ValueError("the server closed a connection")
    connection.received += data
    if b"\r\n\r\n" not in connection.received:
        return False
    if not connection.received.startswith(b"HTTP/1.1 2"):
        raise ValueError(f"the server refused: {connection.received.decode(errors='replace')}")
    connection.received = b""
    return True
