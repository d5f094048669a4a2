"""How generated pages write what the code says."""


def sentence(text: str) -> str:
    """Begun with a capital letter and ended with a point, unless it ends a sentence already."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…", ")")) else ".")
