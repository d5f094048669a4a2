"""When a certificate expires, read from its DER encoding.

`ssl` tells it only of certificates that it has verified, but the one that has just expired is the one that matters. **Source**: RFC 5280, 4.1; X.690.
"""

from datetime import UTC, datetime

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_LONG_FORM = 0x80


def expires_at(der: bytes) -> datetime | None:
    """The end of the validity; None when it cannot be read."""
    try:
        return _expires_at(der)
    except (IndexError, ValueError):
        return None


def _expires_at(der: bytes) -> datetime:
    certificate = _content(der, 0, _SEQUENCE)
    to_be_signed = _content(certificate, 0, _SEQUENCE)
    position = _after(to_be_signed, 0) if to_be_signed[0] == _VERSION else 0
    for _ in ("serial number", "signature algorithm", "issuer"):
        position = _after(to_be_signed, position)
    validity = _content(to_be_signed, position, _SEQUENCE)
    return _time(validity, _after(validity, 0))


def _time(der: bytes, position: int) -> datetime:
    tag, start, end = _element(der, position)
    text = der[start:end].decode("ascii")
    if tag == _UTC_TIME:
        century = "20" if int(text[:2]) < 50 else "19"
        return datetime.strptime(century + text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    if tag == _GENERALIZED_TIME:
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    raise ValueError(f"the certificate's validity is of type {tag:#x}")


def _content(der: bytes, position: int, wanted: int) -> bytes:
    tag, start, end = _element(der, position)
    if tag != wanted:
        raise ValueError(f"the certificate has {tag:#x} where {wanted:#x} belongs")
    return der[start:end]


def _after(der: bytes, position: int) -> int:
    return _element(der, position)[2]


def _element(der: bytes, position: int) -> tuple[int, int, int]:
    """Tag, start and end of the content."""
    tag, length = der[position], der[position + 1]
    start = position + 2
    if length & _LONG_FORM:
        octets = length - _LONG_FORM
        length = int.from_bytes(der[start : start + octets])
        start += octets
    if start + length > len(der):
        raise IndexError
    return tag, start, start + length
