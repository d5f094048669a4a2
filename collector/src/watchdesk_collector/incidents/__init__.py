"""Incidents: one for each firing of an alert, opened and resolved with it, with a timeline of events.

Before it on the pipe: `dispatch`, which calls it inside the evaluation's transaction. Invariant: an alert has at most one open incident, which the
partial unique index `one_open_incident_per_alert` enforces.
"""

from watchdesk_collector.incidents.incidents import Incident, Opening, list_open, open_incident, resolve_incident

__all__ = ["Incident", "Opening", "list_open", "open_incident", "resolve_incident"]
