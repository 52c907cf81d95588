"""Standard Webhooks, held to the specification's own example and to everything that a forger could try."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.people.webhooks import SignatureRefused, derived, headers, secret_bytes, sign, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_614_265_330.0
BODY = b'{"test": 2432232314}'
EXAMPLE = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def test_the_example_of_the_specification_is_signed_as_it_says() -> None:
    assert sign(SECRET, EXAMPLE["webhook-id"], 1614265330, BODY) == EXAMPLE["webhook-signature"]
    assert verify(SECRET, EXAMPLE, BODY, NOW) == EXAMPLE["webhook-id"]


def test_one_good_signature_among_several_is_enough() -> None:
    several = {**EXAMPLE, "webhook-signature": f"v1,AAAA v2,x {EXAMPLE['webhook-signature']}"}
    assert verify(SECRET, several, BODY, NOW) == EXAMPLE["webhook-id"]


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-id": "x" * 300},
        {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "-5"},
        {"webhook-timestamp": "9" * 40},
        {"webhook-timestamp": "١٦١٤٢٦٥٣٣٠"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,not base64"},
        {"webhook-signature": EXAMPLE["webhook-signature"].replace("v1,", "v2,")},
    ],
)
def test_a_changed_header_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(SignatureRefused):
        verify(SECRET, {**EXAMPLE, **change}, BODY, NOW)


@pytest.mark.parametrize("passed", [301.0, -301.0])
def test_what_is_too_old_or_from_the_future_is_refused(passed: float) -> None:
    with pytest.raises(SignatureRefused, match="301 s away from our clock"):
        verify(SECRET, EXAMPLE, BODY, NOW + passed)


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40))
def test_what_is_signed_is_verified_and_nothing_else(body: bytes, secret: str) -> None:
    made = headers(secret, "msg_1", NOW, body)
    assert verify(secret, made, body, NOW) == "msg_1"
    with pytest.raises(SignatureRefused):
        verify(secret, made, body + b" ", NOW)
    with pytest.raises(SignatureRefused):
        verify(secret + "x", made, body, NOW)


def test_every_purpose_has_a_secret_of_its_own() -> None:
    assert derived(b"k", "callback/key_1") == derived(b"k", "callback/key_1")
    assert derived(b"k", "callback/key_1") != derived(b"k", "callback/key_2")


@pytest.mark.parametrize("secret", ["whsec_", "whsec_é", "whsec_="])
def test_a_secret_that_is_no_base64_stands_for_its_own_bytes_and_never_for_nothing(secret: str) -> None:
    assert secret_bytes(secret) == secret.encode()
