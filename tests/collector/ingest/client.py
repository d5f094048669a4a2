"""An agent as the wire sees it: speaks the protocol by hand, so that tests can say what no real agent would."""

import array
import struct
import uuid
import zlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc
import grpc.aio
from watchdesk_proto.catalogue import Kind, Measurement, Type
from watchdesk_proto.v1 import ingest_pb2 as pb

KINDS = {Kind.LABEL: pb.COLUMN_KIND_LABEL, Kind.GAUGE: pb.COLUMN_KIND_GAUGE, Kind.COUNTER: pb.COLUMN_KIND_COUNTER, Kind.TEXT: pb.COLUMN_KIND_TEXT}
TYPES = {Type.FLOAT64: pb.COLUMN_TYPE_FLOAT64, Type.INT64: pb.COLUMN_TYPE_INT64, Type.TEXT: pb.COLUMN_TYPE_TEXT}


class WireAgent:
    """One stream. `async with WireAgent(...) as agent` opens it and reads Welcome."""

    def __init__(
        self,
        address: str,
        *,
        token: str,
        ca: bytes | None = None,
        host: str = "web1",
        agent_id: str | None = None,
        epoch: int = 7,
        spooled_epochs: Sequence[int] = (),
        clock_us: int = 0,
    ) -> None:
        self.agent_id = agent_id or str(uuid.uuid4())
        self.epoch = epoch
        self._hello = pb.Hello(
            agent_id=self.agent_id, epoch=epoch, host=host, boot_id="b", agent_version="test", clock_us=clock_us, spooled_epochs=spooled_epochs
        )
        self._address = address
        self._ca = ca
        self._metadata = (("authorization", f"Bearer {token}"),)
        self.welcome = pb.Welcome()

    async def __aenter__(self) -> Self:
        self._channel = (
            grpc.aio.secure_channel(self._address, grpc.ssl_channel_credentials(self._ca)) if self._ca else grpc.aio.insecure_channel(self._address)
        )
        call = self._channel.stream_stream(
            "/watchdesk.v1.IngestService/Stream", request_serializer=lambda raw: raw, response_deserializer=pb.StreamResponse.FromString
        )
        self.call = call(metadata=self._metadata)
        try:
            await self.send(hello=self._hello)
            self.welcome = (await self.read()).welcome
        except BaseException:
            await self._channel.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.call.cancel()
        await self._channel.close()

    async def send(self, **message: object) -> None:
        await self.call.write(pb.StreamRequest(**message).SerializeToString())  # type: ignore[arg-type]

    async def send_raw(self, raw: bytes) -> None:
        await self.call.write(raw)

    async def read(self) -> pb.StreamResponse:
        """The next answer; raises grpc.aio.AioRpcError when the stream was ended with an error, EOFError when without."""
        answer = await self.call.read()
        if isinstance(answer, pb.StreamResponse):
            return answer
        code = await self.call.code()
        if code is not grpc.StatusCode.OK:
            raise grpc.aio.AioRpcError(code, await self.call.initial_metadata(), await self.call.trailing_metadata(), await self.call.details())
        raise EOFError

    async def declare(self, measurement: Measurement) -> None:
        await self.send(declaration=declaration_of(measurement))

    async def batch(self, seq: int, *tables: pb.Table, epoch: int | None = None, lane: pb.Lane.ValueType = pb.LANE_LIVE) -> None:
        await self.send(batch=pb.Batch(epoch=epoch or self.epoch, seq=seq, lane=lane, tables=tables))


def declaration_of(measurement: Measurement) -> pb.Declaration:
    columns = [pb.Column(name=c.name, kind=KINDS[c.kind], type=TYPES[c.type], unit=c.unit, help=c.help) for c in measurement.columns]
    return pb.Declaration(schema_id=measurement.schema_id, measurement=measurement.name, help=measurement.help, columns=columns)


def table_of(measurement: Measurement, ts_us: Sequence[int], columns: Sequence[Sequence[float | int | str]]) -> pb.Table:
    """A table with `columns` in the measurement's order, each as long as `ts_us`."""
    texts: list[str] = []
    words = array.array("q", ts_us).tobytes()
    for column, values in zip(measurement.columns, columns, strict=True):
        if column.type is Type.TEXT:
            texts.extend(str(value) for value in values)
            words += array.array("q", range(len(texts) - len(values), len(texts))).tobytes()
        else:
            words += struct.pack(f"<{len(values)}{'d' if column.type is Type.FLOAT64 else 'q'}", *values)
    return pb.Table(schema_id=measurement.schema_id, rows=len(ts_us), words=words, texts=texts)


def pack(seq: int, *tables: pb.Table, epoch: int = 1, is_deflated: bool = False, scales: bytes = b"") -> pb.Batch:
    """A packed batch of these tables, whose texts become one dictionary."""
    texts: list[str] = []
    words = b""
    for table in tables:
        words += _with_codes_from(len(texts), table)
        texts += table.texts
    layout = pb.Layout(
        schema_ids=[table.schema_id for table in tables],
        widths=[len(table.words) // 8 // table.rows for table in tables],
        rows=[t.rows for t in tables],
    ).SerializeToString()
    no_scales = bytes(sum(len(table.words) // 8 // table.rows - 1 for table in tables))
    content = words + (scales or no_scales) + pb.Texts(texts=texts).SerializeToString()
    if is_deflated:
        return pb.Batch(epoch=epoch, seq=seq, lane=pb.LANE_LIVE, layout=layout, deflated=zlib.compress(content), content_bytes=len(content))
    return pb.Batch(epoch=epoch, seq=seq, lane=pb.LANE_LIVE, layout=layout, content=content)


def _with_codes_from(start: int, table: pb.Table) -> bytes:
    """`table_of` numbers the texts of a table from 0 on, column after column, after ts."""
    words = array.array("q", table.words)
    for place in range(table.rows, table.rows + len(table.texts)):
        words[place] += start
    return words.tobytes()
