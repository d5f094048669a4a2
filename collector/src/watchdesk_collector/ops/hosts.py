"""The hosts: who they are, under which name, and when they were last heard.

Identity is durable in ops.db before the first sample of a host is taken; what changes with every batch (last seen, connected) is kept in memory and
written by `flush`. Invariant: a name belongs to one agent at a time; renaming or removing a host leaves its rows in history where they are.
"""

import logging
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from watchdesk_collector.clock import Clock, from_us, to_us
from watchdesk_collector.model import Host, host_id_of
from watchdesk_collector.ops.schema import host as host_table

CLOCK_NOISE_S = 1.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What an agent says of itself when it connects."""

    agent_id: str
    name: str
    boot_id: str
    agent_version: str
    clock_offset_s: float


class NameTaken(Exception):
    """The name belongs to another agent; the message says which and what to do."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(
            f'the name {name!r} belongs to agent {owner}; give this host another with `host = "…"` in agent.toml, '
            f"or free it with `watchdesk hosts remove {name}`"
        )


class StillConnected(Exception):
    """A host that is to be removed is sending; the message says what to do first."""

    def __init__(self, name: str) -> None:
        super().__init__(f"host {name!r} is connected; stop its agent first, else it comes back at once")


class HostDirectory:
    """Readable from any thread; `introduce`, `remove` and `flush` touch the disk.

    `_lock` is for the dictionaries and never held while the disk is touched: who reads here may be in the middle of a transaction of ops.db.
    """

    def __init__(self, engine: sa.Engine, clock: Clock, *, clock_tolerance_s: float = 2.0) -> None:
        self._engine = engine
        self._clock = clock
        self._clock_tolerance_s = clock_tolerance_s
        self._lock = threading.Lock()
        self._saving = threading.Lock()  # one change of identity at a time, from the look at who has the name to the row on disk
        self._hosts_by_id: dict[int, Host] = {}
        self._ids_by_name: dict[str, int] = {}  # of watched hosts
        self._unsaved: set[int] = set()
        self._load()

    def __len__(self) -> int:
        """How many hosts are watched."""
        return len(self._ids_by_name)

    def list(self) -> Sequence[Host]:
        """The hosts that are watched, by name."""
        return [host for host in self.everyone() if host.removed_at is None]

    def everyone(self) -> Sequence[Host]:
        """Also those that were removed: their rows are still in history. By name."""
        with self._lock:
            return sorted(self._hosts_by_id.values(), key=lambda host: host.name)

    def by_name(self, name: str) -> Host | None:
        """The watched host of that name."""
        with self._lock:
            return self._named(name)

    def introduce(self, who: Introduction) -> Host:
        """Take in an agent, new or known, possibly renamed. **Errors**: NameTaken."""
        with self._saving:
            known = self._known(who)
            host = self._with_clock(_introduced(who, known, at=self._clock.now()), who.clock_offset_s)
            if known is None or _identity(known) != _identity(host):
                self._save(host)
            with self._lock:
                return self._put(host)

    def _known(self, who: Introduction) -> Host | None:
        """The host as it was so far. **Errors**: NameTaken."""
        host_id = host_id_of(who.agent_id)
        with self._lock:
            owner = self._named(who.name)
            if owner is not None and owner.host_id != host_id:
                raise NameTaken(who.name, owner.agent_id)
            return self._hosts_by_id.get(host_id)

    def seen(self, host_ids: Collection[int], at: datetime) -> None:
        """Batches of these hosts became durable."""
        with self._lock:
            for host_id in host_ids:
                if host := self._hosts_by_id.get(host_id):
                    self._hosts_by_id[host_id] = replace(host, last_seen_at=at)
                    self._unsaved.add(host_id)

    def note_clock(self, host_id: int, offset_s: float) -> None:
        """A host's clock was compared with the collector's."""
        with self._lock:
            if host := self._hosts_by_id.get(host_id):
                self._hosts_by_id[host_id] = self._with_clock(host, offset_s)
                self._unsaved.add(host_id)

    def _with_clock(self, host: Host, offset_s: float) -> Host:
        """A clock is off beyond the tolerance, and until it is within half of it.

        What alerts are read by changes only with what is more than the noise of the network: a host's samples shall not be moved to and fro.
        """
        tolerance_s = self._clock_tolerance_s / 2 if host.clock_is_off else self._clock_tolerance_s
        is_off = abs(offset_s) > tolerance_s
        is_noise = is_off == host.clock_is_off and abs(offset_s - host.clock_offset_s) < CLOCK_NOISE_S
        return replace(host, clock_offset_s=host.clock_offset_s if is_noise else offset_s, clock_is_off=is_off)

    def connected(self, host_id: int) -> None:
        self._note_connected(host_id, connected=True)

    def disconnected(self, host_id: int) -> None:
        self._note_connected(host_id, connected=False)

    def remove(self, name: str) -> bool:
        """Free a host's name and stop watching it; False when there is none. Its agent, should it return, is taken in anew.

        **Errors**: StillConnected.
        """
        with self._saving:
            host = self.by_name(name)
            if host is None:
                return False
            if host.connected:
                raise StillConnected(name)
            removed = replace(host, removed_at=self._clock.now())
            self._save(removed)
            with self._lock:
                self._put(removed)
            return True

    def flush(self) -> None:
        """Write what changed since the last flush; a crash in between costs only freshness of `last_seen_at`, and so does a full disk."""
        with self._lock:
            changed = [self._hosts_by_id[host_id] for host_id in self._unsaved]
            self._unsaved.clear()
        if not changed:
            return
        try:
            self._save_seen(changed)
        except sa.exc.OperationalError as error:
            log.error("ops.db cannot be written, when hosts were last seen is written later: %s", error.orig)
            with self._lock:
                self._unsaved.update(host.host_id for host in changed)

    def _save_seen(self, changed: Sequence[Host]) -> None:
        of_host = sa.update(host_table).where(host_table.c.host_id == sa.bindparam("id"))
        statement = of_host.values(last_seen_at_us=sa.bindparam("seen"), clock_offset_s=sa.bindparam("offset"))
        with self._engine.begin() as connection:
            connection.execute(statement, [{"id": host.host_id, "seen": to_us(host.last_seen_at), "offset": host.clock_offset_s} for host in changed])

    def _note_connected(self, host_id: int, *, connected: bool) -> None:
        with self._lock:
            if host := self._hosts_by_id.get(host_id):
                self._hosts_by_id[host_id] = replace(host, connected=connected)

    def _named(self, name: str) -> Host | None:
        host_id = self._ids_by_name.get(name)
        return None if host_id is None else self._hosts_by_id[host_id]

    def _put(self, host: Host) -> Host:
        """Take the host in, with what became known of its stream meanwhile; the caller holds `_lock`."""
        before = self._hosts_by_id.get(host.host_id)
        if before is not None:
            host = replace(host, last_seen_at=before.last_seen_at, connected=before.connected)
            if self._ids_by_name.get(before.name) == host.host_id:
                del self._ids_by_name[before.name]
        self._hosts_by_id[host.host_id] = host
        if host.removed_at is None:
            self._ids_by_name[host.name] = host.host_id
        return host

    def _save(self, host: Host) -> None:
        values = {
            "agent_id": host.agent_id,
            "host_id": host.host_id,
            "name": host.name,
            "first_seen_at_us": to_us(host.first_seen_at),
            "last_seen_at_us": to_us(host.last_seen_at),
            "boot_id": host.boot_id,
            "agent_version": host.agent_version,
            "clock_offset_s": host.clock_offset_s,
            "removed_at_us": to_us(host.removed_at) if host.removed_at else None,
        }
        with self._engine.begin() as connection:
            updated = connection.execute(sa.update(host_table).where(host_table.c.agent_id == host.agent_id).values(values))
            if updated.rowcount == 0:
                connection.execute(sa.insert(host_table).values(values))

    def _load(self) -> None:
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(host_table)).mappings().all()
        for row in rows:
            self._put(
                Host(
                    host_id=row["host_id"],
                    agent_id=row["agent_id"],
                    name=row["name"],
                    first_seen_at=from_us(row["first_seen_at_us"]),
                    last_seen_at=from_us(row["last_seen_at_us"]),
                    boot_id=row["boot_id"],
                    agent_version=row["agent_version"],
                    clock_offset_s=row["clock_offset_s"],
                    connected=False,
                    removed_at=from_us(row["removed_at_us"]) if row["removed_at_us"] is not None else None,
                    clock_is_off=abs(row["clock_offset_s"]) > self._clock_tolerance_s,
                )
            )


def _introduced(who: Introduction, known: Host | None, *, at: datetime) -> Host:
    return Host(
        host_id=host_id_of(who.agent_id),
        agent_id=who.agent_id,
        name=who.name,
        first_seen_at=known.first_seen_at if known else at,
        last_seen_at=known.last_seen_at if known else at,
        boot_id=who.boot_id,
        agent_version=who.agent_version,
        clock_offset_s=known.clock_offset_s if known else 0.0,
        connected=known.connected if known else False,
        clock_is_off=known.clock_is_off if known else False,
    )


def _identity(host: Host) -> tuple[object, ...]:
    """What must be on disk before a host's first sample; the rest is written by `flush`."""
    return host.name, host.boot_id, host.agent_version, host.removed_at
