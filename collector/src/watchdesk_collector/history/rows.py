"""The rows of one commit: which go into which table, as Arrow, ready to be inserted.

Before it: `History.commit`. After it: `generation.insert`. One Arrow table per schema and one for `batch`, whatever the number of batches.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.history.columns import TIMESTAMP, Block, Dictionary, from_words, to_arrow
from watchdesk_collector.model import Arrival, Hole, Layout, Outcome, Tables

_BITS = (1 << 64) - 1


def of_arrivals(arrivals: Sequence[Arrival], schemas: Mapping[int, Measurement]) -> list[tuple[Measurement, pa.Table]]:
    """Per schema, the rows of all arrivals. **Errors**: KeyError when a schema was not declared, which is the caller's bug."""
    texts = Dictionary()
    blocks_by_schema: dict[int, list[Block]] = {}
    for schema_id, block in _blocks(arrivals, texts):
        blocks_by_schema.setdefault(schema_id, []).append(block)
    dictionary = texts.to_arrow()
    return [(schemas[schema_id], to_arrow(schemas[schema_id], blocks, dictionary)) for schema_id, blocks in blocks_by_schema.items()]


def _blocks(arrivals: Sequence[Arrival], texts: Dictionary) -> Iterator[tuple[int, Block]]:
    """With their schema ids. Batches of one layout become one block per table, whatever their number."""
    alike: dict[Layout, list[tuple[Tables, int]]] = {}
    for arrival in arrivals:
        tables = arrival.tables
        if isinstance(tables, Tables):
            alike.setdefault(tables.layout, []).append((tables, arrival.host_id))
        else:
            for table in tables:
                yield table.schema_id, Block.of_table(table, arrival.host_id, texts.start_of(table.texts))
    for layout, members in alike.items():
        stack = np.concatenate([tables.words for tables, _ in members]).reshape(len(members), layout.words)
        scales = np.frombuffer(b"".join([tables.scales for tables, _ in members]), np.uint8).reshape(len(members), layout.columns)
        hosts = np.array([host_id for _, host_id in members], np.int64)
        starts = np.array([texts.start_of(tables.texts) for tables, _ in members], np.int64)
        for part in layout.parts:
            words = stack[:, part.start : part.end].reshape(len(members), part.width, part.rows)
            yield part.schema_id, Block.of_stack(words, scales[:, part.first_column : part.end_column], hosts, starts)


def of_batches(arrivals: Sequence[Arrival], holes: Sequence[Hole]) -> pa.Table:
    """One `batch` row each: first the arrivals, then the holes."""
    stored, nothing = [str(Outcome.STORED)] * len(arrivals), [None] * len(holes)
    seqs = [arrival.seq for arrival in arrivals]
    spans = [None if arrival.log_positions else arrival.times_us for arrival in arrivals]
    entries: Sequence[Arrival | Hole] = [*arrivals, *holes]
    return pa.table(
        {
            "ts": from_words(TIMESTAMP, signed([entry.received_at_us for entry in entries])),
            "host_id": _integers([entry.host_id for entry in entries]),
            "epoch": _integers([entry.epoch for entry in entries]),
            "seq": _integers([*seqs, *(hole.first for hole in holes)]),
            "seq_to": _integers([*seqs, *(hole.last for hole in holes)]),
            "lane": pa.array([*(arrival.lane.value for arrival in arrivals), *nothing], pa.string()),
            "outcome": pa.array([*stored, *(hole.outcome.value for hole in holes)], pa.string()),
            "reason": pa.array([*([None] * len(arrivals)), *(hole.reason for hole in holes)], pa.string()),
            "content_hash": pa.concat_arrays([_integers([arrival.content_hash for arrival in arrivals]), pa.nulls(len(holes), pa.int64())]),
            "rows": _integers([*(arrival.rows for arrival in arrivals), *(0 for _ in holes)]),
            "bytes": _integers([*(arrival.bytes for arrival in arrivals), *(0 for _ in holes)]),
            "sampled_from_seconds": pa.array([*(span and span[0] / 1e6 for span in spans), *nothing], pa.float64()),
            "sampled_to_seconds": pa.array([*(span and span[1] / 1e6 for span in spans), *nothing], pa.float64()),
        }
    )


def _integers(numbers: Sequence[int]) -> "pa.Array[Any]":
    return from_words(pa.int64(), signed(numbers))


def signed(numbers: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Numbers of up to 64 bits as SQL holds them: those of 64 bits become negative, and `unsigned` undoes it."""
    return np.array(numbers, np.uint64).view(np.int64)


def unsigned(number: int) -> int:
    """The inverse of `signed`."""
    return number & _BITS
