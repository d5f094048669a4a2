"""Operators' SQL: a guard over the parsed tree, then one confined process per query.

Before it on the pipe: `history`, whose snapshot is all that a query sees. After it: the web's `/api/v1/sql`. Invariant: a query can neither change
anything, nor reach a file or a machine, nor outlive its deadline; at worst it ends its own process.

This file imports nothing, and must not: every worker process runs it on its way up.
"""
