"""Telling people: renders what the outbox holds and sends it by mail or webhook, with retries; and the heartbeat to the outside.

Before it on the pipe: `dispatch`, which puts messages into the outbox. After it: people. Invariant: a message is sent at least once, and always under
the same idempotency key, so that a receiver that keeps keys sees it once.
"""
