"""What a Hello says of samplers and of what is unsent, checked: whatever an agent claims, it stays bounded and about itself."""

from watchdesk_proto.catalogue import NAME
from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_collector.attendance import Backlog
from watchdesk_collector.history.gaps import SLOT_US
from watchdesk_collector.ingest.checks import EARLIEST_US
from watchdesk_collector.ops.attendance import Sampler

MAX_SAMPLERS = 256
MAX_BACKLOGS = 64
MAX_NUMBER = 2**63  # of epochs and seqs
SHORTEST_US, LONGEST_US = SLOT_US, 7 * 86_400_000_000
AHEAD_US = 86_400_000_000


def samplers_of(hello: "pb.Hello", now_us: int) -> list[Sampler]:
    """Those that make sense; the rest is as if it was not said."""
    return [
        Sampler(measurement=one.name, interval_us=one.interval_us, since_us=one.since_us)
        for one in hello.samplers[:MAX_SAMPLERS]
        if NAME.fullmatch(one.name) and SHORTEST_US <= one.interval_us <= LONGEST_US and EARLIEST_US <= one.since_us <= now_us + AHEAD_US
    ]


def backlogs_of(hello: "pb.Hello", host_id: int) -> list[Backlog]:
    """As `samplers_of`."""
    return [
        Backlog(
            host_id=host_id,
            epoch=one.epoch,
            first=one.seqs.first,
            last=one.seqs.last,
            since_us=one.since_us,
            until_us=one.until_us,
        )
        for one in hello.backlog[:MAX_BACKLOGS]
        if 0 < one.epoch < MAX_NUMBER and 0 < one.seqs.first <= one.seqs.last < MAX_NUMBER and EARLIEST_US <= one.since_us <= one.until_us
    ]
