from typing import Any

from watchdesk_agent.sampling.host import HostSampler, parse_os_name


def test_host_says_what_it_is_since_when_and_how_far_its_clock_is_off(kernel: Any) -> None:
    kernel.write(
        {
            "proc/uptime": "351.12 600.00\n",
            "proc/stat": "cpu 1\nbtime 1700000000\n",
            "os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        }
    )
    [row] = kernel.sample(HostSampler(kernel.context(clock_offset_s=lambda: 0.25)))
    assert row == {
        "uptime_seconds": 351.12,
        "boot_at_seconds": 1_700_000_000.0,
        "clock_offset_seconds": 0.25,
        "kernel": "6.1.0-18-amd64",
        "os": "Debian GNU/Linux 12 (bookworm)",
        "architecture": "x86_64",
        "agent_version": "0.1.0",
    }


def test_clock_offset_is_null_until_it_is_known(kernel: Any) -> None:
    kernel.write({"proc/uptime": "1 1\n", "proc/stat": "btime 1\n"})
    [row] = kernel.sample(HostSampler(kernel.context()))
    assert (row["clock_offset_seconds"], row["os"]) == (None, "Linux")


def test_an_unquoted_name_is_read_too() -> None:
    assert parse_os_name("PRETTY_NAME=Alpine\n") == "Alpine"
