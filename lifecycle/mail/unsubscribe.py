"""The signed links by which a customer leaves a topic without logging in."""

from __future__ import annotations

import hashlib
import hmac

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from lifecycle.errors import ConfigurationError, LifecycleError


class UnsubscribeLinks:
    """Makes and reads unsubscribe URLs; they never expire, because one-click must work on old mail (RFC 8058)."""

    def __init__(self, base_url: str, secret: str) -> None:
        """`base_url` is where the unsubscribe page lives; raises ConfigurationError without a secret."""
        if not secret:
            raise ConfigurationError("unsubscribe links need a secret; set LIFECYCLE_SECRET")
        derived = Signer(secret, salt="lifecycle.unsubscribe", key_derivation="hmac", digest_method=hashlib.sha256)
        key = derived.derive_key()
        self._signer = Signer(key, key_derivation="none", digest_method=hashlib.sha256)
        self._keyed = hmac.new(key, digestmod="sha256")
        self._prefix = base_url.rstrip("/") + "/u/"

    def url(self, customer_id: str, topic: str) -> str:
        """Return the link by which this customer leaves this topic."""
        payload = f"{topic}\0{customer_id}"  # neither can hold a NUL, and nothing is shorter: headers have a limit
        token = base64_encode(payload.encode())
        keyed = self._keyed.copy()  # as `self._signer.sign(token)` does it, at half the cost
        keyed.update(token)
        return f"{self._prefix}{token.decode('ascii')}.{base64_encode(keyed.digest()).decode('ascii')}"

    def read(self, token: str) -> tuple[str, str]:
        """Return (customer id, topic) of a token; raises LifecycleError when it is not ours or was altered."""
        try:
            topic, customer_id = base64_decode(self._signer.unsign(token)).decode().split("\0")
        except (BadSignature, UnicodeError, ValueError) as error:
            raise LifecycleError("this unsubscribe link is incomplete or altered; use the one in the email") from error
        return customer_id, topic
