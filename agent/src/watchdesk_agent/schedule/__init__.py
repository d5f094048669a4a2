"""The schedule: when samplers run, how they fare, and what becomes of slots that hold no sample."""

from watchdesk_agent.schedule.health import Health
from watchdesk_agent.schedule.schedule import Schedule
from watchdesk_agent.schedule.stretch import Cadence, Stretch, blame, join, missed_samples, stretches_of

__all__ = ["Cadence", "Health", "Schedule", "Stretch", "blame", "join", "missed_samples", "stretches_of"]
