"""Calendar jobs: what happens at a time of day rather than because of data. Adding one is a line in `app.py`'s tuple.

Timers that must survive a restart are rows (`due_at`), not jobs: a job that is missed because the collector was down runs at the next start or hour.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to do by the calendar; `cron` is "minute hour day month weekday", UTC."""

    name: str
    cron: str
    run: Callable[[], Awaitable[None]]


def start_jobs(jobs: Sequence[Job]) -> AsyncIOScheduler:
    """A running scheduler; one run of a job at a time, runs missed meanwhile are made up for once."""
    scheduler = AsyncIOScheduler(timezone="UTC")
    for job in jobs:
        trigger = CronTrigger.from_crontab(job.cron, timezone="UTC")
        scheduler.add_job(job.run, trigger, id=job.name, coalesce=True, max_instances=1, misfire_grace_time=None)
    scheduler.start()
    return scheduler
