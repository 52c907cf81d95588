"""What an identity provider says of somebody: the port that signing in with one needs, and its pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

LEEWAY = 60.0
"""Seconds that the provider's clock may be away from ours."""
LONGEST_TOKEN_AGE = 600.0
"""Seconds since an identity token was issued: we asked for it a moment ago."""


class IdentityRefused(Exception):
    """What came back is not what was asked for, or the provider cannot be reached; the message is for people."""


class Claims(msgspec.Struct, frozen=True):
    """Of a person whom the provider vouches for."""

    subject: str
    """``ISSUER SUBJECT``."""
    email: str
    """Verified."""
    name: str


class Begun(msgspec.Struct, frozen=True):
    url: str
    """Where the browser goes."""
    browser: str
    """Kept in a cookie: only this browser may finish."""


class IdentityProvider(Protocol):
    def name(self) -> str:
        """What its button says; empty: none is configured."""
        ...

    def begin(self, redirect: str, to: str) -> Begun:
        """``redirect``: where it sends the browser back; ``to``: the page that was asked for.  Raises
        ``IdentityRefused``."""
        ...

    def finish(self, query: Mapping[str, str], browser: str, redirect: str) -> tuple[Claims, str]:
        """→ who it is, and the page that was asked for.  Raises ``IdentityRefused``."""
        ...


def vetted(claims: Mapping[str, Any], *, issuer: str, client: str, nonce: str, now: float) -> None:
    """Hold an identity token's claims (its signature is good) against OpenID Connect Core 3.1.3.7.

    Raises ``IdentityRefused``.
    """
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != issuer:
        raise IdentityRefused("The token is of another issuer.")
    if client not in audiences or (len(audiences) > 1 and claims.get("azp") != client):
        raise IdentityRefused("The token is for another application.")
    if claims.get("azp") not in (None, client):
        raise IdentityRefused("The token is for another application.")
    expires, issued = _number(claims.get("exp")), _number(claims.get("iat"))
    if expires is None or issued is None or expires + LEEWAY < now:
        raise IdentityRefused("The token has expired.")
    if issued > now + LEEWAY or issued < now - LONGEST_TOKEN_AGE:
        raise IdentityRefused("The token was not issued now: is a clock wrong?")
    if claims.get("nonce") != nonce:
        raise IdentityRefused("The token answers another sign-in.")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise IdentityRefused("The token names nobody.")


def person_of(claims: Mapping[str, Any], issuer: str) -> Claims:
    """Raises ``IdentityRefused`` without a verified address: an address that anybody may claim proves nothing."""
    email, name = claims.get("email"), claims.get("name")
    if not isinstance(email, str) or "@" not in email or claims.get("email_verified") not in (True, "true"):
        raise IdentityRefused("Your provider does not say that your mail address is verified.")
    return Claims(f"{issuer} {claims['sub']}", email.strip().lower(), name if isinstance(name, str) else "")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
