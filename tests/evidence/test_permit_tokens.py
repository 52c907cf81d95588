"""Claims about permits: who can make one, what it may say, and when it holds."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.evidence.permit.model import LONGEST_LIFE, Permit
from roadworthy.evidence.permit.rules import harmless, vet
from roadworthy.evidence.permit.tokens import Forged, opened, sealed
from roadworthy.workflow.model import Budgets

SIGNER = Ed25519Signer(bytes(range(32)))
OTHER = Ed25519Signer(b"o" * 32)
VERIFIER = Ed25519Verifier()
NOW = 1_000_000.0
PERMIT = Permit("prm_0123456789abcdef", "support", None, "drill", 3, 0.5, NOW, NOW + 60, "ann", fault="refusal")


def test_a_permit_survives_the_wire() -> None:
    token = sealed(PERMIT, SIGNER)
    assert token.startswith("rwp-")
    assert opened(token.encode(), [OTHER.public_key, SIGNER.public_key], VERIFIER) == PERMIT


@pytest.mark.parametrize("keys", [[], [OTHER.public_key], ["nonsense"], ["00" * 32]])
def test_only_the_installs_own_key_makes_a_permit(keys: list[str]) -> None:
    with pytest.raises(Forged):
        opened(sealed(PERMIT, SIGNER).encode(), keys, VERIFIER)


def test_no_byte_of_a_permit_can_be_changed() -> None:
    token = sealed(PERMIT, SIGNER)
    body, _, signature = token.removeprefix("rwp-").partition(".")
    richer = msgspec.json.encode(msgspec.structs.replace(PERMIT, calls=3000))
    forged = f"rwp-{urlsafe_b64encode(richer).rstrip(b'=').decode()}.{signature}"
    for found in (forged, f"rwp-{body}.", f"rwp-.{signature}", "rwp-", f"rwp-{body}", token[:-3] + "AAA"):
        with pytest.raises(Forged):
            opened(found.encode(), [SIGNER.public_key], VERIFIER)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(Forged):
        opened(b"rwp-" + data, [SIGNER.public_key], VERIFIER)


def test_what_is_signed_for_another_purpose_is_no_permit() -> None:
    body = msgspec.json.encode(PERMIT)
    bare = b"rwp-" + b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in (body, SIGNER.sign(body)))
    with pytest.raises(Forged):
        opened(bare, [SIGNER.public_key], VERIFIER)


def problem(**changes: object) -> str:
    found = vet(msgspec.structs.replace(PERMIT, **changes), now=NOW + 1, began=NOW - 100)
    return "" if found is None else found.code


def test_a_permit_holds_between_its_issue_and_its_end() -> None:
    assert problem() == ""
    assert problem(expires=NOW + 1) == "permit_expired"
    assert problem(issued=NOW + 60, expires=NOW + 90) == "permit_not_yet_valid"
    assert problem(expires=NOW + LONGEST_LIFE + 1) == "permit_invalid"
    assert problem(calls=0) == "permit_invalid"


def test_a_permit_that_is_older_than_the_worker_is_refused_for_its_calls_are_not_counted() -> None:
    found = vet(PERMIT, now=NOW + 20, began=NOW + 10)
    assert found is not None
    assert found.code == "permit_expired"


@pytest.mark.parametrize("traffic", ["eval", "load", "shadow"])
@pytest.mark.parametrize(
    "extra",
    [{"substitutes": {"main": "http://127.0.0.1:1/v1"}}, {"budgets": Budgets()}, {"unpriced": True}, {"fault": "x"}],
)
def test_only_a_drill_may_change_the_world(traffic: str, extra: dict[str, object]) -> None:
    assert problem(**{"traffic": traffic, "fault": "", **extra}) == "permit_not_allowed"


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("http://127.0.0.1:4000/v1", True),
        ("https://127.0.0.1:4000/v1", True),
        ("http://[::1]:4000/v1", True),
        ("http://fault.invalid:9/v1", True),
        ("http://localhost:4000/v1", False),
        ("http://127.0.0.1/v1", False),
        ("http://10.0.0.1:80/v1", False),
        ("http://169.254.169.254:80/", False),
        ("http://evil.example:80/v1", False),
        ("http://127.0.0.1@evil.example:80/v1", False),
        ("http://invalid:80/v1", False),
        ("file:///etc/passwd", False),
        ("http://127.0.0.1:99999/v1", False),
        ("", False),
    ],
)
def test_a_targets_place_is_taken_on_this_machine_only(url: str, good: bool) -> None:
    assert harmless(url) is good
    assert problem(substitutes={"main": url}) == ("" if good else "permit_not_allowed")
