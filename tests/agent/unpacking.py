"""Batches as any reader of the wire would read them."""

import zlib
from itertools import accumulate, pairwise

from watchdesk_proto.v1 import ingest_pb2 as pb


def tables_of(batch: pb.Batch) -> list[pb.Table]:
    """The tables of a packed batch, each with the dictionary of all."""
    layout = pb.Layout.FromString(batch.layout)
    content = zlib.decompress(batch.deflated) if batch.deflated else batch.content
    ends = [*accumulate((8 * width * rows for width, rows in zip(layout.widths, layout.rows, strict=True)), initial=0)]
    texts = pb.Texts.FromString(content[ends[-1] :]).texts
    return [
        pb.Table(schema_id=schema_id, rows=rows, words=content[start:end], texts=texts)
        for schema_id, rows, (start, end) in zip(layout.schema_ids, layout.rows, pairwise(ends), strict=True)
    ]
