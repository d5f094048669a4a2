"""Who is told of which alert, and why not: a visible list of stages, and the messages that come out at its end.

Before it on the pipe: `alerting`, which calls `Dispatcher.dispatch` inside the evaluation's transaction. After it: `notify`, which sends what this
puts into the outbox. Invariant: each receiver that wants an alert either has a message about it or a stored reason why not yet.
"""

from watchdesk_collector.dispatch.config import DispatchConfig
from watchdesk_collector.dispatch.dispatcher import Dispatcher
from watchdesk_collector.dispatch.stages import STAGES

__all__ = ["STAGES", "DispatchConfig", "Dispatcher"]
