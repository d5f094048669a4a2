"""Power failures: a collector in a virtual machine, on a disk that forgets what was not flushed, is switched off at random moments, also while it
starts, checkpoints and seals. Afterwards nothing that was acked is lost, nothing is doubled, and every start succeeded.

    python tests/chaos/power_loss.py [--rounds 20] [--seed S] [--accelerator kvm|tcg]

First a control experiment shows that this disk does lose what was not synced. Agents and senders run on this side and send again what was not acked.
Needs root and Debian's qemu-system-x86, linux-image-amd64, mmdebstrap, cpio and kmod.
"""

import math
import random
import re
import shutil
import signal
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))  # when it is run alone
sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

from counted_sender import MEASUREMENTS, ROWS, CountedSender, numbers_of
from crashes import Writer
from guest import GuestSite, find_accelerator, guest_site
from guest_image import CACHE, ImageError, build
from harness import Acked, Report, finish, parser
from volatile_disk import Cut
from watchdesk_collector.cli.demo.waiting import DemoError

SENDERS = 2
CUT_WHILE_STARTING = 0.25
LONGEST_RUN_S = 6.0
AIMED, AIM_WITHIN_S = 0.75, 5.0  # most cuts wait until something is written and not yet flushed: a moment that chance alone would mostly miss,
LATER_S = 0.5  # or until somewhere in what follows: a checkpoint, a seal
WITHIN_S = 300.0  # a guest without KVM on a busy machine is slow


@dataclass(slots=True)
class Tally:
    """What the rounds did to the guest."""

    start_seconds: list[float] = field(default_factory=list)
    starts_failed: int = 0
    cut_while_starting: int = 0
    cuts: list[Cut] = field(default_factory=list)


def run(rounds: int, *, seed: int, accelerator: str | None = None) -> Report:
    report = Report(f"power failures: {rounds} (seed {seed})")
    rng = random.Random(seed)
    image = build()
    chosen = accelerator or find_accelerator(image)
    report.figure("guest", f"{image.kernel.name}, {chosen}")
    with guest_site(image, accelerator=chosen) as here:
        _control(here, report, rng)
    with guest_site(image, accelerator=chosen) as here, ExitStack() as stack:
        senders = [_sender(here, number, rng) for number in range(SENDERS)]
        for sender in senders:
            stack.callback(sender.close)
        acked, writer = stack.enter_context(Acked(here)), stack.enter_context(Writer(here.application_log))
        tally = Tally()
        try:
            _start(here, tally)
            here.start_agent()
            for number in range(1, rounds + 1):
                _round(here, senders, tally, rng, number)
            writer.stop()
            _move(here, report, tally, rng)
            _settle(here, report, senders, lines=writer.lines)
            _account(here, report, senders, acked=acked.batches(), lines=writer.lines)
        except DemoError as error:
            report.claim(f"the run comes to its end: {error}", False)
        _tell(here, report, tally)
        if report.broken:
            report.figure("kept to look at", _keep(here))
    return report


def _control(here: GuestSite, report: Report, rng: random.Random) -> None:
    """Written and synced, left in the page cache, and written past it but not flushed: only the first may survive."""
    here.power_on("control_write")
    here.await_words("control: written")
    cut = here.cut_power(rng, kept_share=0.0)
    here.power_on("control_read")
    here.await_words("control: read")
    here.collector.kill()
    lines = {name: int(number) for name, number in re.findall(r"guest: control: (\w+) (\d+)", here.words())}
    report.figure("control: lines left of 1 MiB synced, cached, unflushed", f"{lines} (the disk forgot {cut.sectors_lost} sectors)")
    report.claim("the guest's disk keeps what is synced and loses what is not", lines["synced"] > 0 == lines["cached"] == lines["unflushed"])


def _sender(here: GuestSite, number: int, rng: random.Random) -> CountedSender:
    epoch = rng.getrandbits(62) + 1
    return CountedSender(address=here.grpc_address, ca_file=here.tls.authority, token=here.agent_token, host=f"sender-{number}", epoch=epoch)


def _round(here: GuestSite, senders: list[CountedSender], tally: Tally, rng: random.Random, number: int) -> None:
    """From a collector that answers, through one power failure, or two, to one that answers again."""
    before = [sender.acked for sender in senders]
    here.wait("acks", lambda: all(sender.acked > was for sender, was in zip(senders, before, strict=True)), timeout_s=WITHIN_S)
    time.sleep(rng.uniform(0, LONGEST_RUN_S))
    if rng.random() < AIMED:
        here.disk.wait_for_writes(timeout_s=AIM_WITHIN_S)
        time.sleep(rng.choice((0.0, rng.uniform(0, LATER_S))))
    cut = _cut(here, tally, rng)
    if rng.random() < CUT_WHILE_STARTING:
        here.power_on("collector")
        time.sleep(rng.uniform(0, _median(tally.start_seconds)))
        tally.cut_while_starting += 1
        _cut(here, tally, rng)
    _start(here, tally)
    what = f"{cut.unflushed_writes} writes unflushed, {cut.sectors_kept} sectors kept, {cut.sectors_lost} lost"
    print(f"   {number:3}: {what}; started in {tally.start_seconds[-1]:.1f} s; acked so far {sum(sender.acked for sender in senders)}", flush=True)


def _cut(here: GuestSite, tally: Tally, rng: random.Random) -> Cut:
    """The write cache loses everything, or nothing, or some of it."""
    cut = here.cut_power(rng, kept_share=rng.choice((0.0, 1.0, rng.random())))
    tally.cuts.append(cut)
    return cut


def _start(here: GuestSite, tally: Tally) -> None:
    began_s = time.monotonic()
    try:
        here.start_collector()
    except DemoError:
        tally.starts_failed += 1
        raise
    tally.start_seconds.append(time.monotonic() - began_s)


def _median(seconds: list[float]) -> float:
    return statistics.median(seconds) if seconds else math.nan


def _move(here: GuestSite, report: Report, tally: Tally, rng: random.Random) -> None:
    """A last power failure, and the disk goes into this machine, where SQL over what is on it takes no minutes."""
    _cut(here, tally, rng)
    report.claim("the file system is whole", here.move_disk_here())
    report.figure("Parquet files that the guest sealed", here.sealed_files)
    report.claim("ops.db is whole", here.ops("PRAGMA integrity_check") == [("ok",)])


def _settle(here: GuestSite, report: Report, senders: list[CountedSender], *, lines: int) -> None:
    """Nothing is under way any more."""
    report.claim("everything sent is acked in the end", all(sender.finish(timeout_s=WITHIN_S) for sender in senders))
    query = "SELECT count(*) FROM log WHERE source = 'application'"
    here.wait("every line", lambda: here.number(query) >= lines, timeout_s=WITHIN_S)
    here.wait("an empty spool", lambda: here.unsent_batches() <= 1)
    here.agent.stop()


def _account(here: GuestSite, report: Report, senders: list[CountedSender], *, acked: set[tuple[int, int]], lines: int) -> None:
    for sender in senders:
        _account_sender(here, report, sender)
    stored = {(epoch, seq) for epoch, seq in here.rows("SELECT epoch, seq FROM batch WHERE outcome = 'stored' AND host = 'site'")}
    report.figure("the agent's batches seen as acked, of these stored", f"{len(acked)}, {len(acked & stored)}")
    report.claim("no acked batch of the agent is lost", acked <= stored)
    report.claim("no batch is stored twice", not here.rows("SELECT host, epoch, seq FROM batch GROUP BY ALL HAVING count(*) > 1"))

    there, different = here.rows("SELECT count(*), count(DISTINCT message) FROM log WHERE source = 'application'")[0]
    report.figure("log lines written, stored, different", f"{lines}, {there}, {different}")
    report.claim("every log line is there exactly once", lines == there == different)

    slots, doubled = here.rows("SELECT count(*), count(*) - count(DISTINCT ts) FROM cpu")[0]
    report.figure("samples of cpu, of these doubled", f"{slots}, {doubled}")
    report.claim("no sample of cpu is there twice", doubled == 0)


def _account_sender(here: GuestSite, report: Report, sender: CountedSender) -> None:
    """Each table must hold every number once; sums tell a wrong number apart from a missing one."""
    numbers = range(numbers_of(1).start, numbers_of(sender.sent).stop)
    for measurement in MEASUREMENTS:
        query = f"SELECT count(*), count(DISTINCT number), sum(number)::BIGINT FROM {measurement.name} WHERE host = '{sender.host}'"
        rows, different, total = here.rows(query)[0]
        lost, doubled = len(numbers) - different, rows - different
        report.figure(f"{sender.host}, {measurement.name}: rows sent, stored, lost, doubled", f"{len(numbers)}, {rows}, {lost}, {doubled}")
        report.claim("lost 0, doubled 0", lost == doubled == 0 and total == sum(numbers))
    report.figure(f"{sender.host}: batches of {ROWS} rows sent, acked", f"{sender.sent}, {sender.acked}")
    report.claim("nothing acked was forgotten at any start, nothing rejected", not sender.forgotten and not sender.rejected)


def _tell(here: GuestSite, report: Report, tally: Tally) -> None:
    console = here.console
    report.figure("power failures, of these while the guest was starting", f"{len(tally.cuts)}, {tally.cut_while_starting}")
    report.figure("failures that left unflushed writes", sum(cut.unflushed_writes > 0 for cut in tally.cuts))
    report.figure(
        "sectors written but not flushed: kept, lost", f"{sum(c.sectors_kept for c in tally.cuts)}, {sum(c.sectors_lost for c in tally.cuts)}"
    )
    report.figure("starts, and seconds from power to answer", f"{len(tally.start_seconds)}, median {_median(tally.start_seconds):.1f}")
    report.figure("journals of the file system replayed", console.count("recovering journal"))
    torn, damaged = console.count("ends within a transaction"), console.count("does not replay")
    report.figure("write-ahead logs that ended within a transaction, that did not replay to their end", f"{torn}, {damaged}")
    report.claim("starts failed: 0", tally.starts_failed == 0)


def _keep(here: GuestSite) -> Path:
    """The guest's disk and console, out of the folder that goes away."""
    kept = CACHE / "after-a-failure"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    here.disk.save(kept / "state.img")
    (kept / "console.log").write_text(here.console)
    return kept


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=20, help="default 20")
    options.add_argument("--seed", type=int, default=None, help="repeats the lots of a run, though not its timing")
    options.add_argument("--accelerator", choices=("kvm", "tcg"), default=None, help="default: KVM where it works")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # and with it the guest
    try:
        finish(run(chosen.rounds, seed=chosen.seed if chosen.seed is not None else random.randrange(2**32), accelerator=chosen.accelerator))
    except ImageError as error:
        sys.exit(str(error))
