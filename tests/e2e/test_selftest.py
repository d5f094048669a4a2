"""`watchdesk selftest` as somebody runs it: a slice of it with every kind of fault, and its end at Ctrl-C."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from watchdesk_collector.cli.demo.programs import command_path
from watchdesk_collector.cli.selftest.kinds import KINDS

pytestmark = pytest.mark.timeout(1800)
STEPS = [kind.name for kind in KINDS if kind.name.startswith("kill_at_")]


def test_nothing_is_lost_and_nothing_doubled_whatever_breaks(full: bool) -> None:
    kinds = [kind.name for kind in KINDS if full or kind.name not in STEPS[1:]]
    rounds = 5 * len(kinds) if full else len(kinds)
    ended = subprocess.run([*command(), "--rounds", str(rounds), "--kinds", ",".join(kinds)], capture_output=True, text=True, check=False)
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ": 0 lost, 0 doubled." in ended.stdout


def test_ctrl_c_ends_it_with_the_report_so_far_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with subprocess.Popen([*command(), "--kinds", "kill_agent", "--keep", str(folder)], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        while "1/50" not in (line := running.stdout.readline()):
            assert line, "it ended early"
        running.send_signal(signal.SIGINT)
        told, _ = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert "kill_agent" in told
    assert "Interrupted: what was under way is not judged" in told
    assert str(folder) not in Path("/proc/mounts").read_text()
    assert not [line for line in command_lines() if str(folder) in line]
    assert (folder / "host-1" / "state" / "spool.db").exists(), "what lay on a small disk is kept as well"


def command() -> list[str]:
    return [str(command_path("watchdesk")), "selftest"]


def command_lines() -> Iterator[str]:
    """Of all processes of this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            yield path.read_bytes().decode(errors="replace")
