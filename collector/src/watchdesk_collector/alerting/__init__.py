"""Rules, and what they say about history: series that violate become pending, fire, and resolve.

Before it on the pipe: `history`, which is read, and the hosts. After it: `dispatch`, which gets
every transition inside the transaction that records it.
"""
