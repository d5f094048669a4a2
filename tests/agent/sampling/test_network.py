from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchdesk_agent.sampling import SamplingFilters
from watchdesk_agent.sampling.config import InterfaceFilter
from watchdesk_agent.sampling.network import NetworkSampler

NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0
  eth0:{received}   100    1    2    0     0          0         0     2000      50    3    4    0     0       0          0
veth12:       9       9    9    9    0     0          0         0        9       9    9    9    0     0       0          0
eth0:1:       5       1    0    0    0     0          0         0        7       1    0    0    0     0       0          0
"""


@dataclass
class FakeLink:
    isup: bool
    speed: int
    mtu: int = 1500


class FakeLinks:
    """What the driver of eth0 says."""

    def __init__(self, *links: FakeLink) -> None:
        self._links = list(links)

    def __call__(self) -> Mapping[str, FakeLink]:
        return {"eth0": self._links.pop(0)}


def net_dev(received: int) -> str:
    return NET_DEV.format(received=received)


def test_loopback_and_container_interfaces_are_left_out_by_default(kernel: Any) -> None:
    kernel.write({"proc/net/dev": net_dev(4_000_000_000_000)})
    assert [row["interface"] for row in kernel.sample(NetworkSampler(kernel.context()))] == ["eth0", "eth0:1"]


def test_a_filter_can_name_the_only_interface(kernel: Any) -> None:
    kernel.write({"proc/net/dev": net_dev(1)})
    filters = SamplingFilters(interfaces=InterfaceFilter(include=("lo",), exclude=("*",)))
    assert [row["interface"] for row in kernel.sample(NetworkSampler(kernel.context(filters)))] == ["lo"]


def test_counters_and_rates_of_an_interface(kernel: Any) -> None:
    kernel.write({"proc/net/dev": net_dev(1000)})
    sampler = NetworkSampler(kernel.context(), read_links=FakeLinks(FakeLink(isup=True, speed=1000), FakeLink(isup=False, speed=0)))
    first = kernel.sample(sampler)[0]
    kernel.write({"proc/net/dev": net_dev(1500)})
    second = kernel.sample(sampler)[0]
    assert [first[f"{way}_{what}_total"] for way in ("receive", "transmit") for what in ("packets", "errors", "drops")] == [100, 1, 2, 50, 3, 4]
    assert (first["up"], first["speed_bytes_per_second"], first["mtu_bytes"]) == (1, 125_000_000, 1500)
    assert (second["up"], second["speed_bytes_per_second"]) == (0, None)
    assert first["receive_bytes_per_second"] is None
    assert (second["receive_bytes_per_second"], second["transmit_bytes_per_second"]) == (500.0, 0.0)


def test_an_interface_that_came_back_with_fresh_counters_has_no_rate_in_that_tick(kernel: Any) -> None:
    sampler = NetworkSampler(kernel.context())
    kernel.write({"proc/net/dev": net_dev(1000)})
    kernel.sample(sampler)
    kernel.write({"proc/net/dev": net_dev(10)})
    row = kernel.sample(sampler)[0]
    assert (row["receive_bytes_per_second"], row["transmit_bytes_per_second"]) == (None, 0.0)


def test_an_interface_whose_link_is_not_told_has_nulls(kernel: Any) -> None:
    kernel.write({"proc/net/dev": net_dev(1)})
    sampler = NetworkSampler(kernel.context(), read_links=FakeLinks(FakeLink(isup=True, speed=10)))
    assert [(row["up"], row["mtu_bytes"]) for row in kernel.sample(sampler)] == [(1, 1500), (None, None)]
