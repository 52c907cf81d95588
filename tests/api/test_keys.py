"""API keys over the admin API, as far as the snapshot that gateways read."""

from __future__ import annotations

from typing import Any

import pytest

from roadworthy.gateway import snapshot as snapshots
from roadworthy.gateway.snapshot import Snapshot

from .conftest import Install


def on_disk(install: Install) -> Snapshot:
    return snapshots.decode(install.control.folder.snapshot.read_bytes())


def served_ids(install: Install) -> set[str]:
    return {key.id for key in on_disk(install).keys.values()}


def create(install: Install, **facts: Any) -> dict[str, Any]:
    made: dict[str, Any] = install.good("POST", "/v1/keys", {"name": "app", **facts})
    return made


def test_a_token_is_shown_once_and_acts_when_the_answer_is_there(applied: Install) -> None:
    made = create(applied, workflows=["triage"])
    assert made["token"].startswith("rw-")
    assert len(made["token"]) == 43
    assert served_ids(applied) == {made["key"]["id"]}
    (listed,) = applied.good("GET", "/v1/keys")["items"]
    assert listed == made["key"]
    assert "hash" not in listed
    for path in applied.control.folder.root.rglob("*"):
        assert not path.is_file() or made["token"].encode() not in path.read_bytes()


def test_revoking_takes_the_key_out_of_the_snapshot_at_once(applied: Install) -> None:
    made = create(applied)
    revoked = applied.good("POST", f"/v1/keys/{made['key']['id']}/revoke")
    assert revoked["key"]["revoked_at"] == applied.clock.now
    assert served_ids(applied) == set()
    assert applied.good("POST", f"/v1/keys/{made['key']['id']}/revoke") == revoked


def test_a_rotated_key_keeps_its_id_and_loses_its_old_token(applied: Install) -> None:
    made = create(applied)
    rotated = applied.good("POST", f"/v1/keys/{made['key']['id']}/rotate", {})
    assert rotated["key"]["id"] == made["key"]["id"]
    assert rotated["token"] != made["token"]
    (held,) = on_disk(applied).keys
    assert held == applied.control._services(applied.control.folder.hmac_key()).keys.hash(rotated["token"])


def test_during_its_grace_the_old_token_still_works_and_then_no_more(applied: Install) -> None:
    made = create(applied)
    applied.good("POST", f"/v1/keys/{made['key']['id']}/rotate", {"grace": 60})
    assert len(on_disk(applied).keys) == 2
    applied.clock.now += 60
    assert applied.control.publisher.publish_when_moved()
    assert served_ids(applied) == {made["key"]["id"]}


def test_a_tester_key_belongs_to_a_tester(applied: Install) -> None:
    made = create(applied, kind="tester", person="ada")
    assert made["token"].startswith("rwt-")
    for person, message in (("bo", "tester of none"), ("eve", "expected a person"), (None, "found nothing")):
        body = {"name": "app", "kind": "tester", "person": person}
        answer = applied.call("POST", "/v1/keys", body)
        assert answer.status_code == 400
        assert message in answer.json()["error"]["message"]
        assert answer.json()["error"]["param"] == "person"


@pytest.mark.parametrize(
    ("facts", "param", "message"),
    [
        ({"name": " "}, "name", "expected a name of 1 to 80"),
        ({"workflows": ["triaje"]}, "workflows", "did you mean 'triage'"),
        ({"workflows": []}, "workflows", "expected names of workflows"),
        ({"workflows": ["triage"], "team": "support"}, "workflows", "another team's"),
        ({"person": "ada"}, "person", "only tester keys"),
        ({"requests_per_minute": 0}, "requests_per_minute", "expected 1 or more"),
        ({"expires_at": 1.0}, "expires_at", "in the past"),
    ],
)
def test_a_key_that_cannot_be_is_refused_with_the_field_to_change(
    applied: Install, facts: dict[str, Any], param: str, message: str
) -> None:
    answer = applied.call("POST", "/v1/keys", {"name": "app", **facts})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert message in answer.json()["error"]["message"]
    assert applied.good("GET", "/v1/keys")["items"] == []


def test_an_unknown_key_is_named_with_the_nearest_one(applied: Install) -> None:
    made = create(applied)
    answer = applied.call("POST", f"/v1/keys/{made['key']['id'][:-1]}/revoke")
    assert answer.status_code == 404
    assert made["key"]["id"] in answer.json()["error"]["message"]


def test_a_revoked_key_is_not_rotated_back_to_life(applied: Install) -> None:
    made = create(applied)
    applied.good("POST", f"/v1/keys/{made['key']['id']}/revoke")
    assert applied.call("POST", f"/v1/keys/{made['key']['id']}/rotate", {}).status_code == 400


def test_every_change_of_a_key_is_audited_without_its_hash(applied: Install) -> None:
    made = create(applied)
    applied.good("POST", f"/v1/keys/{made['key']['id']}/rotate", {"grace": 5})
    applied.good("POST", f"/v1/keys/{made['key']['id']}/revoke")
    told = applied.audit()[1:]
    assert [record["action"] for record in told] == ["key.create", "key.rotate", "key.revoke"]
    assert all(key.hash not in str(told) for key in applied.control._services(b"x" * 32).keys.all())
