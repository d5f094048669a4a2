"""`watchdesk`, the operator's command: asks a running collector over HTTP, checks rule files, makes backups, runs the demo.

Every command is a module with `add_arguments(parser)` and `run(arguments) -> exit code`, and a line in `main.COMMANDS`. A person waits for each
start, so a module is loaded only when its command is called, and loads what is heavy only when it runs.
"""
