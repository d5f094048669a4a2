"""Messages to send and to compare with the golden files."""

from datetime import UTC, datetime, timedelta

from watchdesk_collector.notify.notification import AlertNote, Notification
from watchdesk_collector.ops.outbox import Told
from watchdesk_collector.ops.severity import Severity

FIRED = datetime(2026, 1, 1, 3, 4, 5, tzinfo=UTC)
BASE = "https://watchdesk.example.org"
KEY = "0123456789abcdef0123456789abcdef"


def note(number: int = 1, *, host: str = "web1", rule: str = "disk-nearly-full", is_resolved: bool = False) -> AlertNote:
    return AlertNote(
        incident_id=number,
        rule=rule,
        severity=Severity.CRITICAL,
        host=host,
        labels={"mount": "/var", "device": "/dev/sda2", "filesystem": "ext4"},
        summary='/var is 98.2 % full; 1.7 GiB are left <of "100 GiB">',
        value="98.2 %" if not is_resolved else "71 %",
        condition="used_ratio > 97% and available_bytes < 10GiB",
        since=FIRED - timedelta(minutes=1),
        fired_at=FIRED,
        resolved_at=FIRED + timedelta(minutes=20) if is_resolved else None,
        reason="used_ratio < 95% or available_bytes > 12GiB" if is_resolved else "",
        remedy="Free space now: old logs (`journalctl --vacuum-size=500M`), package caches, `lsof +L1` for deleted files that are still open; "
        "then find what grew.",
        runbook="https://wiki.example.org/disk?a=1&b=2",
        page_url=f"{BASE}/hosts/{host}",
        silence_command=f"watchdesk silence {host} --for 2h",
    )


def firing(*notes: AlertNote, more: int = 0) -> Notification:
    return Notification(told=Told.FIRING, alerts=notes or [note()], more=more, page_url=BASE, written_at=FIRED + timedelta(seconds=18))


def resolved() -> Notification:
    written_at = FIRED + timedelta(minutes=20, seconds=18)
    return Notification(told=Told.RESOLVED, alerts=[note(is_resolved=True)], page_url=BASE, written_at=written_at, answers=[KEY])
