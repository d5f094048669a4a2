"""The schedule: when samplers run, how they fare, and what becomes of slots that hold no sample."""

from watchdesk_agent.schedule.health import Health
from watchdesk_agent.schedule.schedule import Schedule

__all__ = ["Health", "Schedule"]
