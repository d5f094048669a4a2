"""Series recorded from this host while stress-ng puts changing loads on it, and long histories of several hosts made of them.

Recorded are the agent's own samplers, many times over: one set of them per phase of the second, as agents on as many hosts would sample at as many
moments. No two phases have the same numbers, so a history can be put together without repeating any: each host takes other phases than every other
one, one after the other, and counters go on where the phase before left them. Nothing here is part of the product.
"""

import math
import pickle
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from walks import PAGE_BYTES, SECOND_US
from watchdesk_agent.model import Instant, Row, Sampler
from watchdesk_agent.sampling import SAMPLERS, SamplingContext, SamplingFilters
from watchdesk_collector.model import NULL_INT64, Table
from watchdesk_proto.catalogue import Column, Kind, Measurement, Type

Ints = npt.NDArray[np.int64]

PHASES = 120
STAGE_S = 16
STAGES = (
    "",
    "--cpu 1 --cpu-load 30",
    "--cpu 2 --cpu-load 80",
    "--vm 1 --vm-bytes 1g --vm-keep",
    "--hdd 1 --hdd-bytes 256m",
    "",
    "--sock 1 --pipe 1",
    "--fork 1 --cpu 1 --cpu-load 10",
    "--io 1 --hdd 1 --hdd-bytes 128m --hdd-write-size 4k",
    "--udp 1 --cpu 1 --cpu-load 50",
    "",
    "--switch 1 --vm 1 --vm-bytes 512m",
    "--cpu 3 --cpu-load 95",
    "--malloc 1 --malloc-bytes 512m",
    "",
)
RECORDING_S = STAGE_S * len(STAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What each phase saw: tables in the order of `measurements`."""

    measurements: tuple[Measurement, ...]
    phases: list[list[Table]]


def cached(path: Path) -> Recording:
    """The recording in this file, made now if there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(record()))
    recording: Recording = pickle.loads(path.read_bytes())
    return recording


def record() -> Recording:
    """Takes `RECORDING_S`."""
    sets = [_samplers() for _ in range(PHASES)]
    measurements = tuple(sampler.measurement for sampler in sets[0])
    rows: list[list[list[tuple[int, Row]]]] = [[[] for _ in measurements] for _ in sets]
    first_us = time.time_ns() // 10**9 * SECOND_US
    with tempfile.TemporaryDirectory() as folder:
        for second, phase in _paced():
            if second % STAGE_S == 0 and phase == 0:
                _start_load(STAGES[second // STAGE_S], folder)
            at = Instant(first_us + second * SECOND_US, time.monotonic())
            for sampler, taken in zip(sets[phase], rows[phase], strict=True):
                if second % sampler.interval_s == 0:
                    taken += [(at.slot_us, row) for row in sampler.sample(at)]
    return Recording(measurements=measurements, phases=[[_table(m, taken) for m, taken in zip(measurements, of, strict=True)] for of in rows])


def _paced() -> Iterator[tuple[int, int]]:
    """Each phase of each second, when it comes."""
    began_s = time.monotonic()
    for tick in range(RECORDING_S * PHASES):
        time.sleep(max(0.0, began_s + tick / PHASES - time.monotonic()))
        yield divmod(tick, PHASES)


def _samplers() -> list[Sampler]:
    """Those that measure what changes."""
    context = SamplingContext(filters=SamplingFilters(), clock_offset_s=lambda: None, agent_version="recording")
    return [sampler for make in SAMPLERS if (sampler := make(context)).name != "host"]


def _start_load(arguments: str, folder: str) -> None:
    """It ends by itself after one stage, and is waited for by nobody."""
    if arguments:
        subprocess.Popen(["stress-ng", "--quiet", "--temp-path", folder, *arguments.split(), "--timeout", f"{STAGE_S - 1}s"])


def _table(measurement: Measurement, rows: Sequence[tuple[int, Row]]) -> Table:
    texts: dict[str, int] = {}
    words = [np.array([at for at, _ in rows], np.int64)]
    words += [_words(column, [row[index] for _, row in rows], texts) for index, column in enumerate(measurement.columns)]
    return Table(schema_id=measurement.schema_id, words=np.stack(words), texts=list(texts))


def _words(column: Column, values: Sequence[object], texts: dict[str, int]) -> Ints:
    if column.type is Type.FLOAT64:
        return np.array([np.nan if value is None else value for value in values], np.float64).view(np.int64)
    if column.type is Type.INT64:
        return np.array([NULL_INT64 if value is None else value for value in values], np.int64)
    return np.array([-1 if value is None else texts.setdefault(str(value), len(texts)) for value in values], np.int64)


def hosts_of(recording: Recording, *, hosts: int, seconds: int, first_us: int) -> list[list[Table]]:
    """Tables of each host, sorted by time. Phases repeat, with other counters, once there are more hosts than phases last for."""
    pieces = math.ceil(seconds / RECORDING_S)
    return [
        [
            _joined(
                measurement,
                [recording.phases[(host * pieces + piece) % PHASES][number] for piece in range(pieces)],
                np.random.default_rng((host, number)),
                first_us=first_us,
                seconds=seconds,
            )
            for number, measurement in enumerate(recording.measurements)
        ]
        for host in range(hosts)
    ]


def _joined(measurement: Measurement, pieces: Sequence[Table], rng: np.random.Generator, *, first_us: int, seconds: int) -> Table:
    """Pieces one after the other. Parts (a mount, a disk) that were not there all the time are left out."""
    parts_by_piece = [_parts(measurement, piece) for piece in pieces]
    slots = max(words.shape[1] for words in parts_by_piece[0].values())
    texts: dict[str, int] = {}
    words_by_part = []
    for labels in parts_by_piece[0]:
        series = [parts.get(labels) for parts in parts_by_piece]
        whole = [words.copy() for words in series if words is not None and words.shape[1] == slots]
        if len(whole) == len(pieces):
            _recode(measurement, whole, [texts.setdefault(label, len(texts)) for label in labels])
            _go_on(measurement, whole, rng, first_us)
            words_by_part.append(np.concatenate(whole, axis=1))
    words = np.concatenate(words_by_part, axis=1)
    words = words[:, words[0] < first_us + seconds * SECOND_US]
    return Table(schema_id=measurement.schema_id, words=words[:, np.argsort(words[0], kind="stable")], texts=list(texts))


def _parts(measurement: Measurement, table: Table) -> dict[tuple[str, ...], Ints]:
    """Labels → the words of their rows."""
    rows = [index for index, column in enumerate(measurement.columns, start=1) if column.type is Type.TEXT]
    codes, part_of_row = np.unique(table.words[rows], axis=1, return_inverse=True)
    return {tuple(table.texts[code] for code in codes[:, part]): table.words[:, part_of_row.reshape(-1) == part] for part in range(codes.shape[1])}


def _recode(measurement: Measurement, series: Sequence[Ints], codes: Sequence[int]) -> None:
    rows = [index for index, column in enumerate(measurement.columns, start=1) if column.type is Type.TEXT]
    for words in series:
        for row, code in zip(rows, codes, strict=True):
            words[row] = code


def _go_on(measurement: Measurement, series: Sequence[Ints], rng: np.random.Generator, first_us: int) -> None:
    """In place: slots one after the other from `first_us`, and counters as of hosts that are up since yesterday or for months; pieces go on."""
    for number, words in enumerate(series):
        words[0] += first_us + number * RECORDING_S * SECOND_US - words[0, 0]
    for row, column in enumerate(measurement.columns, start=1):
        if column.kind is not Kind.COUNTER:
            continue
        if column.type is Type.FLOAT64:
            _shift([words[row].view(np.float64) for words in series], round(10 ** rng.uniform(2, 6)))
        else:
            _shift([words[row] for words in series], round(10 ** rng.uniform(1, 7)) * PAGE_BYTES)


def _shift(series: "Sequence[npt.NDArray[Any]]", first: float) -> None:
    for numbers in series:
        shifted = numbers + (first - numbers[0])
        numbers[:] = np.round(shifted, 6) if numbers.dtype == np.float64 else shifted
        first = numbers[-1]
