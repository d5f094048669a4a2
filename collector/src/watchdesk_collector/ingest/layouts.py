"""What a collector knows of the layouts of packed batches: each is parsed and checked once, and all batches of one layout share one object.

Before it: `decode`, which finds a batch's layout. After it: `packed`, which checks all batches of a layout at once. Invariant: what is known here
names declared schemas alone, with the widths that they have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError as ProtobufError
from watchdesk_proto.catalogue import Measurement, Type
from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_collector.ingest.refused import DecodeError
from watchdesk_collector.model import Layout, Part

MAX_WEIGHT = 32 << 20  # bytes; beyond it all are forgotten and learned anew: an agent that invents layouts fills no memory
OVERHEAD = 2048  # of what is known of one layout, beside its places
REMEMBERED_PER_STREAM = 64

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What decoding needs of a declared measurement: `width` columns with ts, and at which of them texts stand."""

    name: str
    width: int
    text_columns: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, measurement: Measurement) -> "Shape":
        texts = [(index, column.name) for index, column in enumerate(measurement.columns, start=1) if column.type is Type.TEXT]
        return cls(name=measurement.name, width=1 + len(measurement.columns), text_columns=tuple(texts))


@dataclass(frozen=True, eq=False, slots=True)
class KnownLayout:
    """A layout as it travels and as it is meant, with the shapes of its tables, and where in its words times and text codes stand."""

    data: bytes
    layout: Layout
    shapes: tuple[Shape, ...]
    times: Places
    codes: Places

    @classmethod
    def of(cls, data: bytes, layout: Layout, shapes: tuple[Shape, ...]) -> "KnownLayout":
        times = [range(part.start, part.start + part.rows) for part in layout.parts]
        codes = [_column(part, index) for part, shape in zip(layout.parts, shapes, strict=True) for index, _ in shape.text_columns]
        return cls(data, layout, shapes, np.array([*chain(*times)], np.intp), np.array([*chain(*codes)], np.intp))


def _column(part: Part, index: int) -> range:
    first = part.start + index * part.rows
    return range(first, first + part.rows)


class Layouts:
    """By their serialized form, of all streams."""

    def __init__(self) -> None:
        self._known: dict[bytes, KnownLayout] = {}
        self._weight = 0

    def find(self, data: bytes, *, seen: set[bytes], schemas: Mapping[int, Shape | str], max_bytes: int) -> KnownLayout:
        """The layout that these bytes describe; `seen` are those that the stream has used, `schemas` what it declared. **Errors**: DecodeError."""
        known = self._known.get(data)
        if known is not None and data in seen:
            return known
        layout = known.layout if known is not None else _parse(data)
        shapes = tuple(_shape(part, schemas) for part in layout.parts)
        if 8 * layout.words > max_bytes:
            raise DecodeError("oversized", f"batch of {8 * layout.words} bytes, unpacked, is over this collector's limit of {max_bytes}")
        if len(seen) >= REMEMBERED_PER_STREAM:
            seen.clear()
        seen.add(data)
        return known or self._remember(KnownLayout.of(data, layout, shapes))

    def _remember(self, known: KnownLayout) -> KnownLayout:
        self._weight += OVERHEAD + len(known.data) + known.times.nbytes + known.codes.nbytes
        if self._weight > MAX_WEIGHT:
            self._known.clear()
            self._weight = 0
        self._known[known.data] = known
        return known


def _parse(data: bytes) -> Layout:
    try:
        message = pb.Layout.FromString(data)
        sizes = list(zip(message.schema_ids, message.widths, message.rows, strict=True))
    except (ProtobufError, ValueError) as error:
        raise DecodeError("garbage", "a packed batch has a layout that cannot be read") from error
    if not sizes:
        raise DecodeError("garbage", "a packed batch holds no table")
    return Layout.of(sizes)


def _shape(part: Part, schemas: Mapping[int, Shape | str]) -> Shape:
    shape = declared(schemas, part.schema_id)
    if part.rows == 0 or part.width != shape.width:
        raise DecodeError("garbage", f"{shape.name}: {part.rows} rows of {part.width} columns are packed, and it has {shape.width} columns")
    return shape


def declared(schemas: Mapping[int, Shape | str], schema_id: int) -> Shape:
    """The shape of a schema. **Errors**: DecodeError when it was not declared, or refused."""
    shape = schemas.get(schema_id)
    if shape is None:
        raise DecodeError("undeclared", f"a table refers to schema {schema_id:016x}, which was not declared on this stream")
    if isinstance(shape, str):
        raise DecodeError("undeclared", shape)
    return shape
