"""API keys are looked up by HMAC-SHA256, whatever makes it."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.gateway.admission.authenticate import KeyedHash


@given(st.binary(max_size=64), st.binary(max_size=600))
def test_the_keyed_hash_is_hmac_sha256(key: bytes, token: bytes) -> None:
    assert KeyedHash(key).hex(token) == hmac.digest(key, token, "sha256").hex()
