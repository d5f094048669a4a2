"""Generated from watchdesk/v1/*.proto by `make proto`; do not edit."""
