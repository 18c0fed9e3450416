"""Names that follow from what a thing is, so that doing it twice gives one and the same."""

from __future__ import annotations

from hashlib import blake2b


def message_id(journey: str, customer_id: str, key: str, entry: int, step: str, domain: str) -> str:
    """The RFC 5322 Message-ID, without brackets, of the one email of a step of an enrollment."""
    name = "\x1f".join((journey, customer_id, key, str(entry), step))
    return f"{blake2b(name.encode(), digest_size=15).hexdigest()}@{domain}"
