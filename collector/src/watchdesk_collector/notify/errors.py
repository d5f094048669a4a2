"""What goes wrong with telling people."""


class DeliveryError(Exception):
    """A message could not be delivered. `permanent` when this message never will be; the text names no secret."""

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent


class SecretUnreadable(Exception):
    """A password or secret is not where the configuration says; the message tells which and what to do."""
