"""The Watchdesk collector: ingests, stores history, evaluates rules, tells people, serves pages, answers SQL."""

__version__ = "0.1.0"
