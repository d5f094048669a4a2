"""The agent under test: its ledger says what its spool was told, and its wall clock goes where the file says."""

import array
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from fakes import FakeClock
from watchdesk_agent.selftest import Ledger, LedgeredSpool, SetClock
from watchdesk_agent.spool import Spool, SpoolConfig
from watchdesk_agent.wire import encode_declaration
from watchdesk_proto.catalogue import Measurement, gauge
from watchdesk_proto.v1 import ingest_pb2 as pb

CPU = Measurement(name="cpu", help="Processors.", columns=(gauge("user_ratio", "User.", unit="ratio"),))
LOAD = Measurement(name="load", help="Load.", columns=(gauge("load1", "One minute."), gauge("load5", "Five.")))
DECLARATIONS = {measurement.schema_id: encode_declaration(measurement) for measurement in (CPU, LOAD)}
OpenSpool: TypeAlias = Callable[..., LedgeredSpool]


def batch(*, cpu: Sequence[int] = (), load: Sequence[int] = (), is_packed: bool = True) -> bytes:
    """A payload as it is spooled, with rows of these times."""
    times = [(measurement, stamps) for measurement, stamps in ((CPU, cpu), (LOAD, load)) if stamps]
    words = [array.array("q", [*stamps, *([0] * len(stamps) * len(measurement.columns))]).tobytes() for measurement, stamps in times]
    if not is_packed:
        tables = [pb.Table(schema_id=m.schema_id, rows=len(stamps), words=w) for (m, stamps), w in zip(times, words, strict=True)]
        return pb.Batch(tables=tables).SerializeToString()
    layout = pb.Layout(
        schema_ids=[m.schema_id for m, _ in times], widths=[1 + len(m.columns) for m, _ in times], rows=[len(stamps) for _, stamps in times]
    ).SerializeToString()
    content = b"".join(words) + pb.Texts(texts=["a text"]).SerializeToString()
    if len(content) < 1000:
        return pb.Batch(layout=layout, content=content).SerializeToString()
    return pb.Batch(layout=layout, deflated=zlib.compress(content), content_bytes=len(content)).SerializeToString()


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[OpenSpool]:
    """Opens the spool of this test behind its ledger, each time in another epoch, as agents started one after another do."""
    opened: list[Spool] = []

    def open_(*, max_bytes: int = 1_000_000) -> LedgeredSpool:
        opened.append(Spool(tmp_path / "spool.db", config=SpoolConfig(max_bytes=max_bytes), epoch=len(opened) + 1, clock=FakeClock()))
        return LedgeredSpool(opened[-1], Ledger(tmp_path / "ledger"))

    yield open_
    for spool in opened:
        spool.close()


def lines(folder: Path) -> list[str]:
    return (folder / "ledger").read_text().splitlines()


def test_a_batch_is_in_the_ledger_with_the_times_of_its_rows_before_and_after_it_is_kept(tmp_path: Path, open_spool: OpenSpool) -> None:
    spool = open_spool()
    assert spool.append([batch(cpu=(10, 20), load=(10,)), batch(cpu=(30,))], declarations=DECLARATIONS, positions={})
    spooling = [line for line in lines(tmp_path) if line.startswith("spooling")]
    assert [line.split()[:3] for line in spooling] == [["spooling", "1", "1"], ["spooling", "1", "2"]]
    assert [json.loads(line.split()[3]) for line in spooling] == [{"cpu": [10, 20], "load": [10]}, {"cpu": [30]}]
    assert lines(tmp_path)[2:] == ["spooled 1 1", "spooled 1 2"]


@pytest.mark.parametrize("is_packed", [True, False])
@pytest.mark.parametrize("rows", [1, 5000])
def test_batches_are_read_in_every_form_they_are_spooled_in(tmp_path: Path, open_spool: OpenSpool, is_packed: bool, rows: int) -> None:
    times = list(range(1000, 1000 + rows))
    open_spool().append([batch(cpu=times, load=times, is_packed=is_packed)], declarations=DECLARATIONS, positions={})
    assert json.loads(lines(tmp_path)[0].split()[3]) == {"cpu": times, "load": times}


def test_acks_and_rejections_are_told_apart(tmp_path: Path, open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.append([batch(cpu=(ts,)) for ts in (10, 20, 30)], declarations=DECLARATIONS, positions={})
    spool.finish({1: [(1, 2)]})
    spool.reject(1, 3, "too far ahead;\nset the clock")
    assert lines(tmp_path)[-2:] == ["acked 1 1 2", "rejected 1 3 3 too far ahead; set the clock"]


def test_what_was_acked_and_is_not_known_at_a_welcome_is_told_also_by_the_next_agent(tmp_path: Path, open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.append([batch(cpu=(ts,)) for ts in (10, 20, 30)], declarations=DECLARATIONS, positions={})
    spool.finish({1: [(1, 2)]})
    spool.reconcile({1: [(1, 3)]})
    assert not any(line.startswith("forgotten") for line in lines(tmp_path))
    open_spool().reconcile({1: [(2, 2)]})
    assert [line for line in lines(tmp_path) if line.startswith("forgotten")] == ["forgotten 1 1 1", "forgotten 1 3 3"]


def test_what_the_spool_gives_up_is_in_the_ledger_also_when_its_agent_was_killed_before(tmp_path: Path, open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=200)
    for ts in range(20):
        spool.append([batch(cpu=(ts,))], declarations=DECLARATIONS, positions={})
    told = [line for line in lines(tmp_path) if line.startswith("dropped 1 1 ")]
    assert told[-1].endswith(" spool_overflow")
    (tmp_path / "ledger").unlink()
    open_spool()
    assert lines(tmp_path) == [told[-1]]


def test_a_batch_of_an_earlier_epoch_keeps_its_names(tmp_path: Path, open_spool: OpenSpool) -> None:
    open_spool().append([batch(cpu=(10,))], declarations=DECLARATIONS, positions={})
    open_spool().append([batch(load=(20,))], declarations={}, positions={})
    assert 'spooling 2 1 {"load":[20]}' in lines(tmp_path)


def test_the_wall_clock_follows_the_file_and_the_others_do_not(tmp_path: Path) -> None:
    clock = SetClock(tmp_path / "clock")
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 1
    (tmp_path / "clock").write_text("-90.5\n")
    assert abs((clock.now() - datetime.now(UTC)).total_seconds() + 90.5) < 1
    assert abs(clock.monotonic_s() - time.monotonic()) < 1


def test_the_product_does_not_import_it() -> None:
    check = "import sys, watchdesk_agent.__main__; sys.exit('watchdesk_agent.selftest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
