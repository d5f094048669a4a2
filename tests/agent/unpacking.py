"""Batches as any reader of the wire would read them."""

import math
import struct
import zlib
from itertools import accumulate, pairwise

from watchdesk_proto.v1 import ingest_pb2 as pb


def tables_of(batch: pb.Batch) -> list[pb.Table]:
    """The tables of a packed batch, each with the dictionary of all, decimals as doubles again."""
    layout = pb.Layout.FromString(batch.layout)
    content = zlib.decompress(batch.deflated) if batch.deflated else batch.content
    ends = [*accumulate((8 * width * rows for width, rows in zip(layout.widths, layout.rows, strict=True)), initial=0)]
    columns = [*accumulate((width - 1 for width in layout.widths), initial=0)]
    scales = content[ends[-1] : ends[-1] + columns[-1]]
    texts = pb.Texts.FromString(content[ends[-1] + columns[-1] :]).texts
    return [
        pb.Table(schema_id=schema_id, rows=rows, words=_plain(content[start:end], rows, scales[first:last]), texts=texts)
        for schema_id, rows, (start, end), (first, last) in zip(layout.schema_ids, layout.rows, pairwise(ends), pairwise(columns), strict=True)
    ]


def _plain(words: bytes, rows: int, scales: bytes) -> bytes:
    for column, scale in enumerate(scales, start=1):
        if scale:
            start, end = 8 * rows * column, 8 * rows * (column + 1)
            integers = struct.unpack(f"<{rows}q", words[start:end])
            numbers = [math.nan if integer == -(2**63) else integer / 10.0 ** (scale - 1) for integer in integers]
            words = words[:start] + struct.pack(f"<{rows}d", *numbers) + words[end:]
    return words
