"""Calls of Bedrock prove who sends them: AWS keys sign every byte that leaves, Bedrock's own keys are bearer tokens."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from typing import Any

import botocore.auth
import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from providers.bedrock_support import API_KEY, AWS_KEY, ENDPOINT, MODEL, NOW, chat, sent, target, wire
from roadworthy.adapters.providers.bedrock import BedrockWire
from roadworthy.adapters.providers.bedrock_credentials import ApiKey, Credentials, parse, region_of
from roadworthy.adapters.providers.bedrock_signing import Signer
from roadworthy.gateway.ports import Outgoing, Unusable

SUITE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7"
    "mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d"
    "+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
AWS_SUITE = {
    "post-vanilla": (SUITE, (), b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-x-www-form-urlencoded": (
        SUITE, ((b"content-type", b"application/x-www-form-urlencoded"),), b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    "post-header-value-case": (
        SUITE, ((b"my-header1", b"VALUE1"),), b"", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    "post-sts-header-before": (
        Credentials(SUITE.access_key, SUITE.secret_key, TOKEN), (), b"",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    ),
}  # fmt: skip
"""Of AWS's published Signature Version 4 test suite: credentials, headers, body, signature."""


@pytest.mark.parametrize("case", AWS_SUITE)
def test_it_signs_as_aws_says_in_its_test_suite(case):
    credentials, headers, body, signature = AWS_SUITE[case]
    signer = Signer(
        credentials, "us-east-1", "https://example.amazonaws.com", "example.amazonaws.com", service="service"
    )
    made = dict(signer.sign(b"/", headers, body, NOW))
    assert made[b"x-amz-date"] == b"20150830T123600Z"
    assert made[b"authorization"].startswith(
        b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="
    )
    assert made[b"authorization"].endswith(b"Signature=" + signature.encode())


class Caught(Exception):
    """The request of AWS's own client, just before it would have left."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        self.request = request


def by_their_client(
    monkeypatch: pytest.MonkeyPatch, operation: str, model: str, endpoint: str, said: dict[str, Any], token: str | None
) -> AWSPreparedRequest:
    def catch(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        raise Caught(request)

    instant = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: instant.replace(tzinfo=None))
    client = botocore.session.Session().create_client(
        "bedrock-runtime", region_name="eu-central-1", endpoint_url=endpoint, aws_access_key_id=SUITE.access_key,
        aws_secret_access_key=SUITE.secret_key, aws_session_token=token, config=Config(signature_version="v4"),
    )  # fmt: skip
    client.meta.events.register("before-send.bedrock-runtime.*", catch)
    with pytest.raises(Caught) as caught:
        getattr(client, operation)(modelId=model, **said)
    return caught.value.request


ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2c3"


@pytest.mark.parametrize(
    ("model", "endpoint", "stream", "token"),
    [
        (MODEL, ENDPOINT, False, None),
        (ARN, ENDPOINT, True, TOKEN),
        (ARN, "https://vpce-1a2b-3c4d.bedrock-runtime.eu-central-1.vpce.amazonaws.com", False, None),
        (MODEL, "http://bedrock-runtime.eu-central-1.api.aws:8443/proxy/", True, None),
    ],
)
def test_it_signs_as_awss_own_client_does(monkeypatch, model, endpoint, stream, token):
    key = ":".join(filter(None, [SUITE.access_key, SUITE.secret_key, token]))
    base = "/" + endpoint.partition("://")[2].partition("/")[2]
    ours = wire(key, base=base.encode(), model=model, endpoint=endpoint)
    made = sent(ours, stream=stream, max_tokens=10)
    theirs = by_their_client(
        monkeypatch, "converse_stream" if stream else "converse", model, endpoint, json.loads(made.body), token
    )
    _, _, path = theirs.url.partition("://")[2].partition("/")
    assert made.path.decode() == "/" + path
    # their body has other blanks and order, and they send no `accept`: what they send, signed by ours, is theirs
    told = {name.lower(): value.encode() if isinstance(value, str) else value for name, value in theirs.headers.items()}
    signer = ours._signer
    assert signer is not None
    again = dict(signer.sign(made.path, ((b"content-type", told["content-type"]),), theirs.body, NOW))
    assert again[b"authorization"] == told["authorization"]
    assert again[b"x-amz-date"] == told["x-amz-date"]
    assert again.get(b"x-amz-security-token") == told.get("x-amz-security-token")
    assert json.loads(theirs.body) == json.loads(made.body)


def signature(made: Outgoing) -> bytes:
    return dict(made.headers)[b"authorization"].rpartition(b"=")[2]


def test_every_byte_and_every_second_counts():
    key = wire(AWS_KEY)
    first = sent(key)
    assert first.signed
    assert signature(sent(key)) == signature(first)
    assert signature(sent(key, messages=[{"role": "user", "content": "Hello!"}])) != signature(first)
    assert signature(sent(key, stream=True)) != signature(first)
    later = BedrockWire(target(), b"", AWS_KEY, now=lambda: NOW + 1)
    assert signature(later.encode("chat", chat(), stream=False)) != signature(first)
    assert signature(sent(wire(AWS_KEY, headers={"X-Team": "a"}))) != signature(
        sent(wire(AWS_KEY, headers={"X-Team": "b"}))
    )


def test_what_travels_beside_is_not_signed():
    names = dict(sent(wire(AWS_KEY)).headers)[b"authorization"].decode()
    assert "SignedHeaders=accept;content-type;host;x-amz-date," in names


@pytest.mark.parametrize(
    ("secret", "found"),
    [
        (API_KEY, ApiKey(API_KEY)),
        (f" {API_KEY}\n", ApiKey(API_KEY)),
        ("AKID:secret/+=", Credentials("AKID", "secret/+=")),
        ("ASIA:secret:token==", Credentials("ASIA", "secret", "token==")),
        (
            '{"access_key_id": "AKID", "secret_access_key": "s", "region": "eu-west-1"}',
            Credentials("AKID", "s", None, "eu-west-1"),
        ),
        (
            '{"Version": 1, "AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t",'
            ' "Expiration": "2015-08-30T12:36:00+00:00"}',
            Credentials("ASIA", "s", "t", None, NOW),
        ),
        (
            '{"Credentials": {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t",'
            ' "Expiration": "2015-08-30T12:36:00Z"}, "AssumedRoleUser": {}}',
            Credentials("ASIA", "s", "t", None, NOW),
        ),
    ],
)
def test_keys_as_they_are_written(secret, found):
    read = parse(secret)
    assert read == found
    assert repr(read) in ("ApiKey(…)", "Credentials(…)")


@pytest.mark.parametrize(
    "secret",
    [
        "", "  ", "two words", "schlüssel", "AKID:", ":secret", "AKID:a:b:c", "AK-ID:secret", "AKID:hunter\n2", "{",
        "{}", "[]x y", '{"access_key_id": 7, "secret_access_key": "hunter2"}', '{"access_key_id": "AKID"}',
        '{"Credentials": "hunter2"}',
        '{"access_key_id": "AKID", "secret_access_key": "hunter2", "expiration": "soon"}',
    ],
)  # fmt: skip
def test_what_is_no_key_is_said_without_a_word_of_it(secret):
    with pytest.raises(Unusable) as found:
        sent(wire(secret))
    assert found.value.failure == "misconfigured"
    assert "target t:" in found.value.detail
    assert "hunter" not in found.value.detail
    assert not wire(API_KEY).problem


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("bedrock-runtime.eu-central-1.api.aws", "eu-central-1"),
        ("vpce-1a2b-3c4d.bedrock-runtime.ap-south-1.vpce.amazonaws.com", "ap-south-1"),
        ("bedrock-runtime.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ("bedrock-runtime.amazonaws.com", None),
        ("bedrock.internal", None),
    ],
)
def test_the_host_names_the_region(host, region):
    assert region_of(host, MODEL) == region
    assert region_of(host, ARN) == (region or "eu-central-1")


def test_a_host_of_your_own_needs_a_region():
    own = {"endpoint": "https://bedrock.internal"}
    assert "region" in wire(AWS_KEY, **own).problem
    assert not wire(API_KEY, **own).problem
    written = json.dumps({"access_key_id": "AKID", "secret_access_key": "s", "region": "eu-west-3"})
    assert b"/eu-west-3/bedrock/" in dict(sent(wire(written, **own)).headers)[b"authorization"]


def test_a_key_that_has_expired_is_said_to_be_so():
    written = {"access_key_id": "ASIA", "secret_access_key": "s", "session_token": "t"}
    good = wire(json.dumps({**written, "expiration": "2015-08-30T12:36:01Z"}))
    assert sent(good).signed
    with pytest.raises(Unusable) as found:
        sent(wire(json.dumps({**written, "expiration": "2015-08-30T12:36:00Z"})))
    assert (found.value.failure, "expired" in found.value.detail) == ("misconfigured", True)


@pytest.mark.parametrize(("secret", "endpoint", "word"), [(None, ENDPOINT, "key"), (API_KEY, None, "endpoint")])
def test_what_is_missing_is_named(secret, endpoint, word):
    with pytest.raises(Unusable) as found:
        sent(wire(secret, endpoint=endpoint))
    assert (found.value.failure, f"no {word}" in found.value.detail) == ("misconfigured", True)


def test_without_the_extra_an_aws_key_is_told_how_to_mend_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "roadworthy.adapters.providers.bedrock_signing", None)
    assert "pip install 'roadworthy[bedrock]'" in wire(AWS_KEY).problem
    assert not wire(API_KEY).problem  # nothing is signed


def test_botocore_is_loaded_where_something_is_signed_alone():
    code = """
import sys
from providers.bedrock_support import *
wire(API_KEY); print("botocore" in sys.modules); wire(AWS_KEY); print("botocore" in sys.modules)
"""
    path = [entry for entry in sys.path if entry.endswith("tests")]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}{code}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]
