import os
import signal
import threading

import pytest
from watchdesk_collector.cli.demo.waiting import DemoError, Interrupted, Waiter


def test_an_interruption_ends_a_wait_whenever_it_comes() -> None:
    for _ in range(300):
        waiter = Waiter(programs=(), poll_s=0)
        with waiter.listening():
            interrupting = threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGINT))
            interrupting.start()
            with pytest.raises(Interrupted):
                waiter.until("what never comes", lambda: None, timeout_s=60)
            interrupting.join()


def test_after_an_interruption_every_wait_ends_at_once() -> None:
    waiter = Waiter(programs=())
    with waiter.listening():
        signal.raise_signal(signal.SIGTERM)
        for _ in range(3):
            with pytest.raises(Interrupted):
                waiter.pause(60)


def test_what_does_not_come_in_time_is_told() -> None:
    with pytest.raises(DemoError, match="The first sample did not come within 0 s"):
        Waiter(programs=(), poll_s=0.01).until("The first sample", lambda: None, timeout_s=0.02)
