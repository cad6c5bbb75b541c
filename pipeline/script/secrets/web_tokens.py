"""JSON web tokens that are samples, as documentation and tests hold them. Source: RFC 7519, section 4.

>>> is_sample_web_token(b"eyJhbGciOiJub25lIn0.eyJmb28iOiJiYXIifQ.c2lnbmF0dXJl")  # {"foo": "bar"}
True
"""

import base64
import binascii
import json

from pipeline.script.secrets.placeholders import is_placeholder_text

TIMES = frozenset({"exp", "iat", "nbf", "auth_time"})


def is_sample_web_token(token: bytes) -> bool:
    """Whether its claims are times, truth values and placeholders alone; False for what does not decode."""
    payload = token.split(b".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(claims, dict) and all(
        name in TIMES or isinstance(value, bool) or (isinstance(value, str) and is_placeholder_text(value))
        for name, value in claims.items()
    )
