"""Over the API: a person's roles decide, where they hold them; who reads a text is on record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from roadworthy.api.routes import ENDPOINTS
from roadworthy.people.roles import GRANTS, ROLES
from roadworthy.workflow.audit import AuditRecord
from roadworthy.workflow.model import Role

from .conftest import FILES, Install

REFUNDS = {
    "workflows/refunds/workflow.yaml": FILES["workflows/triage/workflow.yaml"].replace(
        "owners: {workflow: ada, prompt: bo, cost: ada}", "team: money\nowners: {workflow: mo, prompt: mo, cost: mo}"
    ).replace("testers: [ada]", "testers: []"),
    "workflows/refunds/prompt.md": "You are exact.\n",
}  # fmt: skip
PEOPLE = (
    "people:\n  ada: {name: Ada, email: ada@example.com, roles: [admin]}\n"
    "  bo: {name: Bo, email: bo@example.com}\n  mo: {name: Mo, email: mo@example.com, team: money}\n"
    + "".join(f"  {role}1: {{name: {role}, email: {role}@example.com, roles: [{role}]}}\n" for role in ROLES)
)
ROUTES = [each for each in ENDPOINTS if each.permission not in ("anyone", "gateway")]


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    made = Install(tmp_path_factory.mktemp("people"))
    made.apply(**REFUNDS, **{"people.yaml": PEOPLE})
    yield made
    made.control.close()


@pytest.fixture(scope="module")
def tokens(install: Install) -> dict[str, str]:
    sign_in = install.control.sign_in
    names = ["ada", "bo", "mo", *(f"{role}1" for role in ROLES)]
    return {name: sign_in.exchange(sign_in.code(name, "os:0"), "os:0").token for name in names}


def newest(install: Install, count: int = 1) -> list[AuditRecord]:
    with install.control.state.read() as tx:
        last = tx.last_audit()
        return list(tx.audit(after=(0 if last is None else last.seq) - count))


def filled(path: str) -> str:
    return path.replace("{workflow}", "triage").replace("{id}", "x").replace("{name}", "x")


@pytest.mark.parametrize("role", ROLES)
def test_every_route_refuses_every_role_that_lacks_its_permission(
    install: Install, tokens: dict[str, str], role: Role
) -> None:
    for endpoint in [each for each in ROUTES if each.permission not in GRANTS[role]]:
        answer = install.call(endpoint.method, filled(endpoint.path), {"workflow": "triage"}, token=tokens[f"{role}1"])
        said = (endpoint.method, endpoint.path, answer.status_code)
        assert said == (endpoint.method, endpoint.path, 403)
        assert "roadworthy people grant" in answer.json()["error"]["message"]


@pytest.mark.parametrize("person", ["mo", "bo"])
def test_every_route_that_names_a_workflow_refuses_people_of_another_team(
    install: Install, tokens: dict[str, str], person: str
) -> None:
    """``bo`` of the one team on the other's workflow, ``mo`` the other way round."""
    theirs = "triage" if person == "mo" else "refunds"
    for endpoint in [each for each in ROUTES if "{workflow}" in each.path and each.permission != "people"]:
        path = endpoint.path.replace("{workflow}", theirs).replace("{id}", "x").replace("{period}", "x")
        answer = install.call(endpoint.method, path, {}, token=tokens[person])
        assert (endpoint.path, answer.status_code) in ((endpoint.path, 403), (endpoint.path, 422), (endpoint.path, 400))
        if answer.status_code != 403:  # the body was no good, and was looked at first: nothing was done
            assert endpoint.body is not None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/freeze", {"workflow": "triage"}), ("GET", "/v1/readiness?workflow=triage", None),
        ("POST", "/v1/kill", {"workflow": "triage", "to": "off"}), ("POST", "/v1/apply", {"files": FILES}),
        ("POST", "/v1/kill", {"workflow": "*", "to": "off"}), ("POST", "/v1/forget", {"unit": "u-1"}),
        ("POST", "/v1/backup", {"path": "/tmp/x"}), ("GET", "/v1/configuration", None),
        ("POST", "/v1/keys", {"name": "k", "workflows": ["triage"]}), ("POST", "/v1/keys", {"name": "k"}),
        ("GET", "/v1/evals/pool?workflow=triage", None), ("GET", "/v1/evals/hand?workflow=triage", None),
    ],
)  # fmt: skip
def test_an_owner_of_one_team_does_nothing_to_another_nor_to_the_whole_install(
    install: Install, tokens: dict[str, str], method: str, path: str, body: Any
) -> None:
    answer = install.call(method, path, body, token=tokens["mo"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")
    assert newest(install)[0].outcome == "denied"


def test_lists_hold_what_their_reader_may_read(install: Install, tokens: dict[str, str]) -> None:
    def names(path: str, person: str, key: str = "items") -> set[str]:
        rows = install.good("GET", path, token=tokens[person])[key]
        return {row.get("workflow") or row.get("name") for row in rows}

    assert names("/v1/readiness/all", "mo") == {"refunds"}
    assert names("/v1/readiness/all", "ada") == {"refunds", "triage"}
    assert names("/v1/status", "mo", "workflows") == {"refunds"}
    assert names("/v1/kill", "mo") == {"refunds"}
    assert names("/v1/people", "mo") == {"Mo"}


def test_an_os_user_reads_texts_and_that_is_on_record(install: Install) -> None:
    install.call("GET", "/v1/evals/pool?workflow=triage")
    install.call("GET", "/v1/export?bodies=true")
    assert [record.action for record in newest(install, 2)] == ["examples.read", "inference.export"]
    [before] = newest(install)
    install.good("GET", "/v1/log")
    install.call("GET", "/v1/export")
    assert newest(install) == [before]


def test_inviting_granting_and_leaving_over_the_api(install: Install, tokens: dict[str, str]) -> None:
    ada, body = tokens["ada"], {"email": "zoe@example.com", "role": "owner", "workflow": "triage"}
    made = install.good("POST", "/v1/people/invite", body, token=ada)
    assert "/invite/" in made["link"]
    assert "The named owner of triage is ada" in made["note"]
    assert [row["email"] for row in install.good("GET", "/v1/people/invitations", token=ada)["items"]] == [
        "zoe@example.com"
    ]
    assert made["link"].rpartition("/")[2] not in str(newest(install, 20))
    refused = install.call("POST", "/v1/people/invite", body)
    assert (refused.status_code, "log in first" in refused.json()["error"]["message"]) == (403, True)
    wrong = install.call("POST", "/v1/people/invite", {**body, "email": "zoe"}, token=ada)
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "email")
    install.good("POST", "/v1/people/grant", {"person": "bo", "role": "scorer", "team": "money"}, token=ada)
    assert install.good("GET", "/v1/readiness?workflow=refunds", token=tokens["bo"])["workflow"] == "refunds"
    left = install.good("POST", "/v1/people/leave", {"person": "bo"})  # whoever runs the install may take away
    assert [row["what"] for row in left["orphans"]] == ["triage (prompt)"]
    assert install.call("GET", "/v1/status", token=tokens["bo"]).status_code == 401
    assert "bo has left: triage (prompt)" in str(install.good("GET", "/v1/status")["waiting"])
    part = next(each for each in install.good("GET", "/v1/readiness?workflow=triage")["items"] if each["number"] == 5)
    assert part["verdict"] != "PASS"
    assert "bo has left" in part["figure"]
    install.good("POST", "/v1/people/return", {"person": "bo"}, token=ada)
    assert install.good("GET", "/v1/people", token=ada)["orphans"] == []
