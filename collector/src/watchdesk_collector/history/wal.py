"""The bytes of DuckDB's write-ahead log: how far it holds whole transactions.

DuckDB takes a log whose header or a record's size is damaged for one that a crash cut short, and drops the rest without a word; it replays a
transaction that is there twice twice. Therefore the log is walked before DuckDB sees it.
**Source**: DuckDB 1.5, `write_ahead_log.cpp`, `wal_replay.cpp`, `checksum.cpp`. A header: field 100, the type (98); field 101, the version; 102, the
database's identifier; 103, its checkpoint iteration; the end. Then records: u64 size, u64 checksum, payload, which begins with field 100 and the
type. A record of type 100 (flush) ends a transaction. Everything is little-endian.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np

VERSION = 2  # 1 had no checksums, 3 is encrypted; what is of another version is left to DuckDB
MAX_HEADER = 128
FIELD = struct.Struct("<H")
TYPE, VERSION_NUMBER, IDENTIFIER, ITERATION, END = (FIELD.pack(number) for number in (100, 101, 102, 103, 0xFFFF))
VERSION_RECORD, CHECKPOINT_RECORD, FLUSH_RECORD = 98, 99, 100

PREFIX = struct.Struct("<QQ")
READ_BYTES = 1 << 20  # a multiple of 8

CHECKSUM_SEED = 5381
WORD_FACTOR = 0xBF58476D1CE4E5B9
REST_FACTOR = 0xC6A4A7935BD1E995
REST_SEED = 0xE17A1465
MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What a walk through a log found: `sound` of its `size` bytes are a header and whole transactions; 0 when there is not even one."""

    size: int
    sound: int
    flaw: str = ""  # why it goes no further
    is_torn: bool = False  # it merely ends too early, as a crash leaves it

    @property
    def lost(self) -> int:
        return self.size - self.sound


class _Flaw(Exception):
    """What is at this place cannot be part of a log."""


class _Torn(Exception):
    """The file ends where a record goes on."""


@dataclass(frozen=True, slots=True)
class _Record:
    type: int
    size: int
    checksum: int


def walk(path: Path) -> Walk:
    """Read a log from its start in one pass, in little memory. **Errors**: OSError when it cannot even be opened."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        sound = 0
        try:
            if not size or _read_header(file) != VERSION:
                return Walk(size=size, sound=size)
            transactions = _Transactions()
            while file.tell() < size:
                if transactions.take(_read_record(file, size)):
                    sound = file.tell()
            transactions.end()
            return Walk(size=size, sound=size)
        except _Torn:
            return Walk(size=size, sound=sound, flaw="it ends within a transaction", is_torn=True)
        except (_Flaw, OSError) as flaw:
            return Walk(size=size, sound=sound, flaw=str(flaw))


class _Transactions:
    """Puts records together to transactions, and knows again what it has seen: the end of one that comes once more would be replayed twice.

    No two are the same by right: each commit numbers its batches, each change of tables happens once. Marks of a checkpoint that began are the
    exception, and do nothing when they are read twice.
    """

    def __init__(self) -> None:
        self._open: list[_Record] = []
        self._endings: set[int] = set()

    def end(self) -> None:
        """No record follows."""
        if self._open:
            raise _Torn

    def take(self, record: _Record) -> bool:
        """Whether this record ends a transaction."""
        if record.type != FLUSH_RECORD:
            self._open.append(record)
            return False
        endings = _endings([record for record in self._open if record.type != CHECKPOINT_RECORD])
        if endings and endings[-1] in self._endings:
            raise _Flaw("a transaction is there twice")
        self._endings.update(endings)
        self._open.clear()
        return True


def _endings(records: Sequence[_Record]) -> list[int]:
    """A hash of the last record, of the last two, and so on to all of them."""
    hashes: list[int] = []
    ending = 0
    for record in reversed(records):
        ending = hash((record.size, record.checksum, ending))
        hashes.append(ending)
    return hashes


def _read_header(file: BufferedReader) -> int:
    """The log's version; afterwards the file stands at the first record."""
    data = file.read(MAX_HEADER)
    fields = _Fields(data)
    fields.expect(TYPE)
    if fields.number() != VERSION_RECORD:
        raise _Flaw("it does not begin as a write-ahead log")
    fields.expect(VERSION_NUMBER)
    version = fields.number()
    if fields.has(IDENTIFIER):
        for _ in range(fields.number()):
            fields.number()
    if fields.has(ITERATION):
        fields.number()
    fields.expect(END)
    file.seek(fields.place)
    return version


class _Fields:
    """DuckDB's binary serialization, as far as the header needs it: field numbers of two bytes, numbers in LEB128."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def has(self, field: bytes) -> bool:
        found = self._data.startswith(field, self.place)
        self.place += len(field) if found else 0
        return found

    def expect(self, field: bytes) -> None:
        if not self.has(field):
            raise self._missing()

    def number(self) -> int:
        value = 0
        for shift in range(0, 64, 7):
            if self.place >= len(self._data):
                raise self._missing()
            byte = self._data[self.place]
            self.place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise self._missing()

    def _missing(self) -> Exception:
        return _Torn() if len(self._data) - self.place < FIELD.size and len(self._data) < MAX_HEADER else _Flaw("its header is damaged")


def _read_record(file: BufferedReader, file_size: int) -> _Record:
    start = file.tell()
    prefix = file.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        raise _Torn
    size, stored = PREFIX.unpack(prefix)
    if file.tell() + size > file_size:
        raise _Torn
    if size <= FIELD.size:
        raise _Flaw(f"no record begins at byte {start}")
    checksum, first = _read_checksum(file, size)
    if checksum != stored:
        raise _Flaw(f"the checksum of the record at byte {start} is wrong")
    return _Record(first[FIELD.size], size, stored)


def _read_checksum(file: BufferedReader, size: int) -> tuple[int, bytes]:
    """The checksum of the next bytes, and the first of them."""
    checksum, first, left = CHECKSUM_SEED, b"", size
    while left:
        data = file.read(min(READ_BYTES, left))
        if not data:
            raise _Torn
        first = first or data[:8]
        checksum ^= _words_checksum(data) ^ _rest_checksum(data[len(data) & ~7 :])
        left -= len(data)
    return checksum, first


def _words_checksum(data: bytes) -> int:
    words = np.frombuffer(data, "<u8", len(data) // 8)
    return int(np.bitwise_xor.reduce(words * np.uint64(WORD_FACTOR))) if len(words) else 0


def _rest_checksum(rest: bytes) -> int:
    """Of the up to seven bytes after the last whole word."""
    if not rest:
        return 0
    value = REST_SEED ^ (len(rest) * REST_FACTOR & MASK)
    value = (value ^ int.from_bytes(rest, "little")) * REST_FACTOR & MASK
    value = (value ^ (value >> 47)) * REST_FACTOR & MASK
    return value ^ (value >> 47)
