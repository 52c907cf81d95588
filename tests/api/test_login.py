"""A one-time code becomes a session; nothing of either is kept but hashes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roadworthy.people.service import CODE_LIFE, SESSION_LIFE, NoSuchPerson

from .conftest import FILES, Install


def test_a_code_works_once(applied: Install) -> None:
    code = applied.control.sign_in.code("ada", actor="os:0")
    first = applied.good("POST", "/v1/login", {"code": code})
    assert (first["person"], first["expires"]) == ("ada", applied.clock.now + SESSION_LIFE)
    assert applied.call("POST", "/v1/login", {"code": code}).status_code == 401


def test_a_code_may_be_typed_carelessly(applied: Install) -> None:
    code = applied.control.sign_in.code("ada", actor="os:0")
    assert applied.good("POST", "/v1/login", {"code": f" {code.lower().replace('-', ' ')} "})["person"] == "ada"


def test_an_old_code_is_refused_in_the_same_words_as_an_unknown_one(applied: Install) -> None:
    code = applied.control.sign_in.code("ada", actor="os:0")
    applied.clock.now += CODE_LIFE
    old = applied.call("POST", "/v1/login", {"code": code})
    unknown = applied.call("POST", "/v1/login", {"code": "AAAA-BBBB-CCCC"})
    assert old.status_code == unknown.status_code == 401
    assert old.text == unknown.text


def test_a_session_ends_after_its_time(applied: Install, login: Callable[[str], str]) -> None:
    token = login("ada")
    applied.clock.now += SESSION_LIFE - 1
    applied.good("GET", "/v1/people", token=token)
    applied.clock.now += 1
    assert applied.call("GET", "/v1/people", token=token).status_code == 401


def test_a_session_ends_when_its_person_leaves(applied: Install, login: Callable[[str], str]) -> None:
    token = login("bo")
    without_bo = {
        "people.yaml": "people:\n  ada: {name: Ada, email: ada@example.com}\n",
        "workflows/triage/workflow.yaml": FILES["workflows/triage/workflow.yaml"].replace("prompt: bo", "prompt: ada"),
    }
    applied.apply(**without_bo)
    assert applied.call("GET", "/v1/people", token=token).status_code == 401


def test_logging_out_ends_the_session(applied: Install, login: Callable[[str], str]) -> None:
    token = login("ada")
    applied.good("POST", "/v1/logout", token=token)
    assert applied.call("GET", "/v1/people", token=token).status_code == 401


def test_only_people_of_people_yaml_get_a_code(applied: Install) -> None:
    with pytest.raises(NoSuchPerson, match="did you mean 'ada'"):
        applied.control.sign_in.code("aada", actor="os:0")


def test_sign_ins_and_refusals_are_audited(applied: Install, login: Callable[[str], str]) -> None:
    login("ada")
    applied.call("POST", "/v1/login", {"code": "AAAA-BBBB-CCCC"})
    told = [(record["actor"], record["action"], record["outcome"]) for record in applied.audit()[1:]]
    assert told == [("os:0", "login.code", "done"), ("ada", "login", "done"), (applied.peer, "login", "denied")]


def test_neither_code_nor_token_is_on_disk(applied: Install) -> None:
    code = applied.control.sign_in.code("ada", actor="os:0")
    token = applied.good("POST", "/v1/login", {"code": code})["token"]
    for path in applied.control.folder.root.glob("state.db*"):
        held = path.read_bytes()
        assert token.encode() not in held
        assert code.replace("-", "").encode() not in held
