"""The composition root: knows every part of a running agent, makes them, starts them and stops them in reverse.

samplers → schedule ─┐
probes ──────────────┼→ flush → spool → uplink
logs ────────────────┘
"""

import logging
import os
import random
import signal
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

from watchdesk_proto.sd_notify import notify, watchdog_interval_s

from watchdesk_agent import __version__
from watchdesk_agent.clock import Clock, SystemClock, to_us
from watchdesk_agent.config import Config, SamplingConfig
from watchdesk_agent.flush import Flush
from watchdesk_agent.log_tail import LogTail
from watchdesk_agent.logs import LogReader, LogSourceSampler
from watchdesk_agent.model import Sampler, Samples, TimedRow
from watchdesk_agent.probes.measurement import MEASUREMENT as PROBE
from watchdesk_agent.probes.runner import ProbeRunner
from watchdesk_agent.sampling import SAMPLERS, SamplingContext
from watchdesk_agent.schedule import Health, Schedule
from watchdesk_agent.self_sampling import AgentSampler, SamplerHealthSampler
from watchdesk_agent.spool import Spool, TheirPositions
from watchdesk_agent.state import hold_state_dir, read_agent_id, read_marker
from watchdesk_agent.uplink import Introduction, Tally, Uplink

log = logging.getLogger(__name__)

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
STATUS_EVERY_S = 10.0
LAST_ACKS_WITHIN_S = 5.0
OVERDUE_S = 5.0  # samplers that take this long are broken: systemd's watchdog shall restart the agent


class Agent:
    """The parts of one agent, made but not started."""

    def __init__(self, config: Config, *, clock: Clock, agent_id: str, epoch: int, make_spool: Callable[..., Spool] = Spool) -> None:
        self.tally = Tally()
        self.spool = make_spool(config.state_dir / "spool.db", config=config.spool, epoch=epoch, clock=clock)
        boot_id = BOOT_ID.read_text(encoding="ascii").strip()
        self._uplink = Uplink(
            config=config.collector,
            introduction=Introduction(agent_id=agent_id, host=config.host, boot_id=boot_id, agent_version=__version__),
            spool=self.spool,
            clock=clock,
            tally=self.tally,
            random=random.random,
            compare=self._compare_positions,
        )
        logs = LogReader(config.log, positions=self.spool.positions()) if config.log else None
        self._tail = LogTail(logs, spool=self.spool, clock=clock, marker=read_marker(config.state_dir)) if logs else None
        self._flush = Flush(
            spool=self.spool,
            logs=self._tail,
            clock=clock,
            interval_s=config.sampling.flush_interval,
            phase=zlib.crc32(agent_id.encode()) / 2**32,
            max_batch_bytes=self._uplink.max_batch_bytes,
            is_connected=lambda: self.tally.is_connected,
            on_spooled=self._uplink.wake,
        )
        health = Health()
        self.schedule = Schedule(
            [
                *make_samplers(config.sampling, self.tally),
                *([LogSourceSampler(logs)] if logs else []),
                AgentSampler(spool_stats=self.spool.stats, tally=self.tally, flush=self._flush),
                SamplerHealthSampler(health),
            ],
            interval_s=config.sampling.interval_s,
            clock=clock,
            health=health,
            deliver=self._flush.add,
        )
        booted_us = to_us(clock.now()) - round(clock.boottime_s() * 1e6)
        self.spool.begin(self.schedule.cadences(), boot_id=boot_id, booted_us=booted_us, is_copy=self.holds_logs)
        self._probes = ProbeRunner(probes=config.probe, clock=clock)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._uplink.run, name="uplink"),
            threading.Thread(target=self._flush.run, args=(self._stop,), name="flush"),
            threading.Thread(target=self.schedule.run, args=(self._stop,), name="schedule"),
        ]

    @property
    def holds_logs(self) -> bool:
        """Whether logs are not read until the collector has been asked."""
        return self._tail is not None and self._tail.is_held

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        self._probes.start(self._add_probe_row)

    def stop(self) -> None:
        """What was collected is in the spool when this returns; what a connected collector does not ack in time goes with the next start."""
        uplink, flush, schedule = self._threads
        self._probes.stop()
        self._stop.set()
        schedule.join()
        self.schedule.close()
        flush.join()
        self._flush.flush()
        self._uplink.drain(within_s=LAST_ACKS_WITHIN_S)
        self._uplink.stop()
        uplink.join()
        self.spool.close()
        log.info("agent stopped: %d samples taken since its start", self._flush.rows_taken)

    def _compare_positions(self, theirs: TheirPositions | None) -> None:
        self._flush.compare(theirs)

    def _add_probe_row(self, row: TimedRow) -> None:
        self._flush.add(Samples(PROBE, [row]))


def make_samplers(config: SamplingConfig, tally: Tally) -> list[Sampler]:
    """The samplers of the host."""
    context = SamplingContext(filters=config.filters, clock_offset_s=lambda: tally.clock_offset_s, agent_version=__version__)
    return [make(context) for make in SAMPLERS]


def run(config: Config, *, clock: Clock | None = None, make_spool: Callable[..., Spool] = Spool) -> int:
    """Run an agent until SIGTERM or SIGINT; the exit code is 1 if one of its threads crashed. **Errors**: StateError.

    The self-test gives a clock that it can set, and a spool that keeps a ledger.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # in all threads: this one asks for them below, no handler runs anywhere
    crashes = _stop_on_crash()
    with hold_state_dir(config.state_dir):
        agent = Agent(config, clock=clock or SystemClock(), agent_id=read_agent_id(config.state_dir), epoch=_random_epoch(), make_spool=make_spool)
        agent.start()
        log.info("agent %s of host %s runs, state in %s", __version__, config.host, config.state_dir)
        notify("READY=1")
        while not _is_told_to_stop(within_s=watchdog_interval_s() or STATUS_EVERY_S):
            _report(agent)
        notify("STOPPING=1")
        agent.stop()
    return 1 if crashes else 0


def _is_told_to_stop(*, within_s: float) -> bool:
    """A wait that SIGSTOP and SIGCONT interrupted beyond its time gives what nobody filled in, instead of None: CPython breaks off its loop there."""
    told = signal.sigtimedwait(STOP_SIGNALS, within_s)
    return told is not None and told.si_signo in STOP_SIGNALS


def _report(agent: Agent) -> None:
    uplink = "connected" if agent.tally.is_connected else "not connected"
    held = "; logs wait for the collector, for the state directory was copied or restored" if agent.holds_logs else ""
    status = f"STATUS={uplink}; {agent.spool.stats().batches} batches in the spool{held}"
    notify(*(["WATCHDOG=1"] if agent.schedule.overdue_s() < OVERDUE_S else []), status)


def _stop_on_crash() -> list[str]:
    """Have a crash of any thread end the agent, so that systemd starts it anew. Returns the names of crashed threads, as they come."""
    crashes: list[str] = []

    def on_crash(crash: threading.ExceptHookArgs) -> None:
        name = crash.thread.name if crash.thread else "?"
        log.critical("thread %s crashed, the agent stops", name, exc_info=crash.exc_value)
        crashes.append(name)
        signal.raise_signal(signal.SIGTERM)

    threading.excepthook = on_crash
    return crashes


def _random_epoch() -> int:
    """63 bits, never 0."""
    return (int.from_bytes(os.urandom(8)) >> 1) or 1
