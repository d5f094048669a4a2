"""Keeps an entry within the size that may leave the host. Pure."""


def shorten(message: str, *, max_bytes: int) -> tuple[str, bool]:
    """The message, at most `max_bytes` of UTF-8, and whether it was cut.

    One line loses its end. Of several the first quarter and the end are kept: a traceback's innermost frames stand there.
    """
    data = message.encode()
    if len(data) <= max_bytes:
        return message, False
    mark = f" … [{len(data)} bytes, cut] … ".encode()
    room = max_bytes - len(mark)
    head = room // 4 if "\n" in message else room
    tail = data[len(data) - (room - head) :]
    return (data[:head] + mark.rstrip() * (not tail) + mark * bool(tail) + tail).decode("utf-8", "ignore"), True
