"""Parts of serialized protobuf messages, for messages that are put together without parsing what they hold. Nothing here is part of the product."""


def length_delimited(number: int, content: bytes) -> bytes:
    """A field with a text, bytes, or a message."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])
