"""The units are valid, keep to the exposure that is promised, and start what is installed where systemd/README.md says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
EXPOSURE = {"watchdesk-agent.service": 1.5, "watchdesk-collector.service": 1.5}
INSTALLED = "/opt/watchdesk/bin"

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs Debian's package systemd")


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


@needs_systemd
@pytest.mark.parametrize("unit", EXPOSURE)
def test_systemd_finds_nothing_wrong_with_the_unit(unit: str, tmp_path: Path) -> None:
    program = tmp_path / unit.removesuffix(".service")
    program.touch(0o755)
    copy = tmp_path / unit
    copy.write_text((UNITS / unit).read_text().replace(f"ExecStart={INSTALLED}/", f"ExecStart={tmp_path}/"))
    verified = analyze("verify", str(copy))
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize(("unit", "exposure"), EXPOSURE.items())
def test_the_exposure_is_at_most_what_is_promised(unit: str, exposure: float) -> None:
    rated = analyze("security", "--offline=true", f"--threshold={exposure * 10:.0f}", str(UNITS / unit))
    assert rated.returncode == 0, rated.stdout


@pytest.mark.parametrize("unit", EXPOSURE)
def test_the_unit_starts_the_installed_command_and_restarts_it(unit: str) -> None:
    text = (UNITS / unit).read_text()
    command = unit.removesuffix(".service")
    assert re.search(rf"^ExecStart={INSTALLED}/{command} run --config /etc/watchdesk/{command.removeprefix('watchdesk-')}\.toml$", text, re.MULTILINE)
    for line in ("Type=notify", "Restart=always", f"StateDirectory={command}", "DynamicUser=yes"):
        assert f"\n{line}\n" in text
    assert re.search(r"^WatchdogSec=\d+$", text, re.MULTILINE)


def test_the_agent_sees_the_host_that_it_measures() -> None:
    text = (UNITS / "watchdesk-agent.service").read_text()
    for line in ("ProtectHome=read-only", "ProtectProc=default", "ProcSubset=all"):
        assert f"\n{line}\n" in text


def test_the_readme_names_every_directory_and_credential_of_the_units() -> None:
    readme = (UNITS / "README.md").read_text()
    for unit in EXPOSURE:
        for value in re.findall(r"^(?:StateDirectory|LoadCredential|SupplementaryGroups)=(\S+)$", (UNITS / unit).read_text(), re.MULTILINE):
            assert value in readme
