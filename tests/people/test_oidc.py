"""Signing in with an identity provider, against one in this process that can be made to lie."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from joserfc import jwk, jwt

from roadworthy.adapters.oidc import OidcProvider
from roadworthy.adapters.outbound import Outbound
from roadworthy.people.accounts.identity import Claims, IdentityRefused
from roadworthy.workflow.model import Oidc

BACK = "http://127.0.0.1:8402/login/provider/done"
NOW = 1_795_400_000.0
SECRET = "a-secret-of-many-letters&"


class Provider:
    """Speaks just enough OpenID Connect; ``claims``, ``discovery`` and ``keys`` say what it lies about."""

    def __init__(self) -> None:
        self.key = jwk.ECKey.generate_key("P-256", {"kid": "k1"})
        self.stranger = jwk.ECKey.generate_key("P-256", {"kid": "k1"})
        self.signs_with: Any = self.key
        self.algorithm = "ES256"
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] | None = None
        self.discovery: dict[str, Any] = {}
        self.asked: dict[str, str] = {}
        self.posted: dict[str, str] = {}
        self.authorization = ""
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(provider.get(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                provider.posted, provider.authorization = dict(parse_qsl(body)), self.headers.get("authorization", "")
                self._reply(provider.token())

            def _reply(self, answer: Any) -> None:
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def get(self, path: str) -> Any:
        if path == "/keys":
            return {"keys": [self.key.as_dict(private=False)]}
        if path == "/me":
            return self.userinfo
        base = {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/me",
        }  # fmt: skip
        return {**base, **self.discovery}

    def token(self) -> Any:
        claims = {
            "iss": self.issuer, "aud": "rw", "sub": "s-1", "iat": NOW, "exp": NOW + 300, "nonce": self.asked["nonce"],
            "email": "Bo@x.org", "email_verified": True, "name": "Bo",
        }  # fmt: skip
        said = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        header = {"alg": self.algorithm, "kid": "k1"}
        if self.algorithm == "none":
            unsigned = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, said)]
            return {"id_token": b".".join([*unsigned, b""]).decode(), "access_token": "at"}
        token = jwt.encode(header, said, self.signs_with, algorithms=[self.algorithm])
        return {"id_token": token, "access_token": "at"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Time:
    now = NOW


def client(provider: Provider, **more: Any) -> OidcProvider:
    settings = Oidc(provider.issuer, "rw", "env:OIDC", **{"allow_private": True, **more})
    return OidcProvider(lambda: settings, outbound=Outbound, secret={"env:OIDC": SECRET}.get, clock=lambda: Time.now)


def signed_in(provider: Provider, made: OidcProvider, **query: str) -> tuple[Claims, str]:
    begun = made.begin(BACK, "/cost")
    provider.asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
    return made.finish({"code": "c", "state": provider.asked["state"], **query}, begun.browser, BACK)


def test_a_person_comes_in_by_a_verified_address(provider: Provider) -> None:
    claims, to = signed_in(provider, client(provider))
    assert (claims, to) == (Claims(f"{provider.issuer} s-1", "bo@x.org", "Bo"), "/cost")


def test_the_code_is_bound_to_who_asked_and_the_secret_stays_out_of_the_body(provider: Provider) -> None:
    signed_in(provider, client(provider))
    verifier = provider.posted["code_verifier"]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert (provider.asked["code_challenge"], provider.asked["code_challenge_method"]) == (challenge, "S256")
    assert provider.posted["redirect_uri"] == provider.asked["redirect_uri"] == BACK
    assert "client_secret" not in provider.posted
    assert base64.b64decode(provider.authorization.removeprefix("Basic ")) == b"rw:a-secret-of-many-letters%26"


def test_an_address_is_taken_from_userinfo_of_the_same_person(provider: Provider) -> None:
    provider.claims = {"email": None, "email_verified": None}
    provider.userinfo = {"sub": "s-1", "email": "bo@x.org", "email_verified": True}
    assert signed_in(provider, client(provider))[0].email == "bo@x.org"
    provider.userinfo["sub"] = "s-2"
    with pytest.raises(IdentityRefused, match="somebody else"):
        signed_in(provider, client(provider))


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"aud": "other"}, "another application"),
        ({"aud": ["rw", "other"]}, "another application"),
        ({"azp": "other"}, "another application"),
        ({"exp": NOW - 61}, "expired"),
        ({"exp": None}, "expired"),
        ({"iat": NOW - 3600}, "not issued now"),
        ({"iat": NOW + 3600}, "not issued now"),
        ({"nonce": "another"}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"sub": ""}, "nobody"),
        ({"email_verified": False}, "verified"),
        ({"email_verified": None}, "verified"),
        ({"email": "no address"}, "verified"),
    ],
)
def test_a_token_that_says_anything_else_lets_nobody_in(provider: Provider, claims: dict[str, Any], said: str) -> None:
    provider.claims = claims
    with pytest.raises(IdentityRefused, match=said):
        signed_in(provider, client(provider))


@pytest.mark.parametrize("how", ["stranger", "none", "secret"])
def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(provider: Provider, how: str) -> None:
    if how == "stranger":
        provider.signs_with = provider.stranger
    elif how == "none":
        provider.algorithm = "none"
    else:
        provider.algorithm, provider.signs_with = "HS256", jwk.OctKey.import_key(SECRET)
    with pytest.raises(IdentityRefused, match="not signed"):
        signed_in(provider, client(provider))


def test_only_the_browser_that_began_may_finish_once_and_in_time(provider: Provider) -> None:
    made = client(provider)
    begun = made.begin(BACK, "/")
    provider.asked = dict(parse_qsl(urlsplit(begun.url).query))
    query = {"code": "c", "state": provider.asked["state"]}
    with pytest.raises(IdentityRefused, match="another browser"):
        made.finish(query, "another", BACK)
    with pytest.raises(IdentityRefused, match="another browser"):
        made.finish(query, begun.browser, BACK)  # used up by the first try
    late = made.begin(BACK, "/")
    state = dict(parse_qsl(urlsplit(late.url).query))["state"]
    Time.now += 601
    try:
        with pytest.raises(IdentityRefused, match="too long"):
            made.finish({"code": "c", "state": state}, late.browser, BACK)
    finally:
        Time.now = NOW
    with pytest.raises(IdentityRefused):
        made.finish({"code": "c", "state": "guessed"}, begun.browser, BACK)


@pytest.mark.parametrize("query", [{"error": "access_denied"}, {"code": ""}, {"iss": "https://evil.example"}])
def test_what_is_no_yes_lets_nobody_in(provider: Provider, query: dict[str, str]) -> None:
    with pytest.raises(IdentityRefused):
        signed_in(provider, client(provider), **query)


def test_a_discovery_document_of_another_issuer_is_refused(provider: Provider) -> None:
    provider.discovery = {"issuer": "https://evil.example"}
    with pytest.raises(IdentityRefused, match="another issuer"):
        client(provider).begin(BACK, "/")


def test_an_address_inside_is_not_reached_unless_it_is_allowed(provider: Provider) -> None:
    with pytest.raises(IdentityRefused, match="allow_private"):
        client(provider, allow_private=False).begin(BACK, "/")
