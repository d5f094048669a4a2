"""Probes: active attempts to reach a target, each on a cadence of its own.

Before them on the pipe: the configuration. After them: batches, as for samplers. Adding a kind takes two places: its file, and its line in `KINDS`.
"""
