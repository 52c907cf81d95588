"""Signing in with an identity provider: OpenID Connect, code flow with PKCE, state and nonce.

Every address is checked after resolution, also those that the provider's discovery document names; answers are
bounded; redirects are not followed.  Sign-ins under way are kept in memory, a thousand at most and ten minutes each: a
restart of control means that somebody presses the button again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from roadworthy.adapters.outbound import Outbound, OutboundFailed
from roadworthy.people.accounts.identity import Begun, Claims, IdentityRefused, person_of, vetted
from roadworthy.workflow.model import Oidc

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signed by the provider's own key; never ``none``, never with a secret that we hold too."""
LIFE = 600.0
MOST = 1000
REMEMBERED = 3600.0
"""Seconds for which a discovery document is taken again."""
LARGEST = 256 * 1024
FORM = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}


class _Discovery(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str = ""


@dataclass(frozen=True)
class _Flow:
    nonce: str
    verifier: str
    browser: str
    to: str
    until: float


class OidcProvider:
    """``people.accounts.identity.IdentityProvider``.  Thread-safe; blocking."""

    def __init__(
        self,
        settings: Callable[[], Oidc | None],
        *,
        outbound: Callable[[], Outbound],
        secret: Callable[[str], str | None],
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._outbound = outbound
        self._secret = secret
        self._clock = clock
        self._lock = threading.Lock()
        self._flows: OrderedDict[str, _Flow] = OrderedDict()
        self._known: dict[str, tuple[float, _Discovery]] = {}

    def name(self) -> str:
        settings = self._settings()
        return "" if settings is None else settings.name

    def begin(self, redirect: str, to: str) -> Begun:
        settings = self._configured()
        found = asyncio.run(self._with(lambda http: self._discovered(http, settings)))
        state, browser = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        flow = _Flow(secrets.token_urlsafe(32), secrets.token_urlsafe(48), browser, to, self._clock() + LIFE)
        with self._lock:
            self._flows[state] = flow
            while len(self._flows) > MOST:
                self._flows.popitem(last=False)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(flow.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code", "client_id": settings.client_id, "redirect_uri": redirect,
            "scope": "openid email profile", "state": state, "nonce": flow.nonce, "code_challenge": challenge,
            "code_challenge_method": "S256",
        }  # fmt: skip
        joint = "&" if urlsplit(found.authorization_endpoint).query else "?"
        return Begun(f"{found.authorization_endpoint}{joint}{urlencode(asked)}", browser)

    def finish(self, query: Mapping[str, str], browser: str, redirect: str) -> tuple[Claims, str]:
        settings = self._configured()
        with self._lock:
            flow = self._flows.pop(query.get("state", ""), None)
        same = flow is not None and hmac.compare_digest(flow.browser.encode(), browser.encode())
        if flow is None or self._clock() > flow.until or not same:
            raise IdentityRefused("This sign-in took too long or began in another browser. Try again.")
        if query.get("iss", settings.issuer).rstrip("/") != settings.issuer:  # RFC 9207
            raise IdentityRefused("Another provider answered.")
        if "error" in query or not query.get("code"):
            raise IdentityRefused("Your provider did not let you in.")
        claims = asyncio.run(self._with(lambda http: self._exchanged(http, settings, flow, query["code"], redirect)))
        return person_of(claims, settings.issuer), flow.to

    # --- inside

    def _configured(self) -> Oidc:
        settings = self._settings()
        if settings is None:
            raise IdentityRefused("No identity provider is configured: oidc in roadworthy.yaml.")
        return settings

    async def _with(self, act: Callable[[Outbound], Any]) -> Any:
        http = self._outbound()
        try:
            return await act(http)
        finally:
            await http.close()

    async def _discovered(self, http: Outbound, settings: Oidc) -> _Discovery:
        until, known = self._known.get(settings.issuer, (0.0, None))
        if known is not None and self._clock() < until:
            return known
        url = f"{settings.issuer}/.well-known/openid-configuration"
        found: _Discovery = _decoded(await self._got(http, settings, url, {}), _Discovery)
        if found.issuer.rstrip("/") != settings.issuer:
            raise IdentityRefused("Its discovery document is of another issuer; check oidc.issuer in roadworthy.yaml.")
        for each in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint):
            if each is not None and urlsplit(each).scheme != "https" and not settings.allow_private:
                raise IdentityRefused("Its discovery document names an address without https.")
        self._known[settings.issuer] = (self._clock() + REMEMBERED, found)
        return found

    async def _exchanged(
        self, http: Outbound, settings: Oidc, flow: _Flow, code: str, redirect: str
    ) -> Mapping[str, Any]:  # fmt: skip
        found = await self._discovered(http, settings)
        secret = self._secret(settings.client_secret)
        if secret is None:
            raise IdentityRefused(f"The secret {settings.client_secret} is not there.")
        fields = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": flow.verifier,
            "client_id": settings.client_id,
        }  # fmt: skip
        headers = dict(FORM)
        if "client_secret_basic" in found.token_endpoint_auth_methods_supported:
            pair = urlencode({settings.client_id: secret}).replace("=", ":", 1)
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            fields["client_secret"] = secret
        sent = urlencode(fields).encode()
        tokens = _decoded(await self._got(http, settings, found.token_endpoint, headers, sent), _Tokens)
        claims = _opened(tokens.id_token, await self._got(http, settings, found.jwks_uri, {}))
        vetted(claims, issuer=found.issuer, client=settings.client_id, nonce=flow.nonce, now=self._clock())
        if "email" not in claims and found.userinfo_endpoint is not None and tokens.access_token:
            bearer = {"authorization": f"Bearer {tokens.access_token}", "accept": "application/json"}
            more = _decoded(await self._got(http, settings, found.userinfo_endpoint, bearer), dict[str, Any])
            if more.get("sub") != claims["sub"]:
                raise IdentityRefused("Your provider told of somebody else.")
            claims = {**more, **claims}
        return claims

    async def _got(
        self, http: Outbound, settings: Oidc, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> bytes:  # fmt: skip
        method = "GET" if body is None else "POST"
        try:
            reply = await http.call(
                method, url, headers, body or b"", allow_private=settings.allow_private, largest=LARGEST
            )
        except OutboundFailed as error:
            raise IdentityRefused(f"Your provider cannot be reached: {error}") from error
        if reply.status != 200:
            raise IdentityRefused(f"Your provider answered {reply.status}.")
        return bytes(reply.body)


def _opened(token: str, keys: bytes) -> dict[str, Any]:
    """The claims of a token that one of these keys signed.  Raises ``IdentityRefused``."""
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError

    try:
        found = jwk.KeySet.import_key_set(msgspec.json.decode(keys))
        return dict(jwt.decode(token, found, algorithms=ALGORITHMS).claims)
    except (JoseError, msgspec.DecodeError, ValueError, KeyError, TypeError) as error:
        raise IdentityRefused("The token is not signed by your provider.") from error


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise IdentityRefused("Your provider's answer is not what OpenID Connect says.") from error
