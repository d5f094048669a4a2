import stat
import subprocess
import sys
from pathlib import Path

import pytest
from collector.cli.conftest import run
from collector.sql.shelf import CPU, DISK, PROBE, Shelf
from watchdesk_collector.clock import SystemClock
from watchdesk_collector.history import History, HistoryConfig
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.ops.database import open_ops
from watchdesk_collector.ops.hosts import HostDirectory, Introduction

WHO = Introduction(agent_id="a", name="web1", boot_id="boot", agent_version="0.1.0", clock_offset_s=0.0)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder of a collector that has run and is stopped."""
    state = tmp_path / "state"
    (state / "history").mkdir(parents=True)
    (state / "api.token").touch(mode=0o600)
    Shelf(state / "history").close()
    ops = open_ops(state / "ops.db")
    HostDirectory(ops, SystemClock()).introduce(WHO)
    ops.dispose()
    return state


def cpu_rows(path: Path) -> int:
    config = HistoryConfig(free_space_floor=1 << 20)
    history = History(path=path, config=config, catalogue=(CPU, PROBE, DISK), hosts=lambda: [], clock=SystemClock(), metrics=Metrics())
    history.open()
    rows = {size.measurement: size.hot_rows + size.sealed_rows for size in history.sizes()}["cpu"]
    history.close()
    return rows


def test_a_backup_opens_as_a_collectors_state_and_holds_everything(state: Path, tmp_path: Path) -> None:
    ended = run("backup", str(tmp_path / "copy"), "--state-dir", str(state))
    assert (ended.code, ended.err) == (0, "")
    assert cpu_rows(tmp_path / "copy/history") == cpu_rows(state / "history") == 2 * (2 * 3600 + 60)
    ops = open_ops(tmp_path / "copy/ops.db")
    assert [host.name for host in HostDirectory(ops, SystemClock()).list()] == ["web1"]
    ops.dispose()
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "copy/api.token").stat().st_mode) == 0o600


def test_the_configuration_says_where_the_state_is(state: Path, tmp_path: Path) -> None:
    (tmp_path / "collector.toml").write_text(f'state_dir = "{state}"\n')
    assert run("backup", str(tmp_path / "copy"), "--config", str(tmp_path / "collector.toml")).code == 0


def test_nothing_is_copied_while_a_collector_runs(tmp_path: Path) -> None:
    """The lock belongs to a process, so the collector is one."""
    state = tmp_path / "state"
    program = (
        "import sys; from pathlib import Path; from collector.sql.shelf import Shelf\n"
        "Path(sys.argv[1]).mkdir(parents=True); shelf = Shelf(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    tests = Path(__file__).parents[2]
    command = [sys.executable, "-c", program, str(state / "history")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONPATH": str(tests)}) as collector:
        assert collector.stdout is not None
        assert collector.stdout.readline() == b"open\n"
        ended = run("backup", str(tmp_path / "copy"), "--state-dir", str(state))
        collector.kill()
    assert ended.code == 1
    assert ended.err.startswith(f"watchdesk: a collector runs in {state}; stop it first")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]


def test_a_target_that_is_there_and_a_state_that_is_not_are_told(state: Path, tmp_path: Path) -> None:
    ended = run("backup", str(tmp_path), "--state-dir", str(state))
    assert (ended.code, ended.err) == (2, f"watchdesk: {tmp_path} is there already; name a folder that is not\n")
    ended = run("backup", str(tmp_path / "copy"), "--state-dir", str(tmp_path / "nowhere"))
    assert (ended.code, ended.err.split(";")[0]) == (2, f"watchdesk: {tmp_path / 'nowhere'} holds no history")
