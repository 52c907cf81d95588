"""What ``roadworthy.client.told`` reads from whatever the official clients hand to an app."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any, get_args

import httpx2
import openai
import pytest
from gateway_live import Live
from gateway_support import HELLO, TOKEN, chunk, completion, key, release

from roadworthy import client as ours
from roadworthy.client import Escalated, Seam, Told, told
from roadworthy.gateway import flags
from roadworthy.gateway.answers import escalations
from roadworthy.kill_switch import model as kill_switch
from roadworthy.workflow import inference
from roadworthy.workflow.model import Canned, Handling, Step

CUT = ConnectionResetError("cut")
HIDDEN = "rw-" + "h" * 40
LADDER = {"refused": [Step("escalate")], "invalid": [Step("canned")], "unavailable": [], "truncated": []}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    handling = Handling(ladder=LADDER, holding=Canned("Soon."), canned=Canned("Later."))  # type: ignore[arg-type]
    with Live(
        tmp_path_factory.mktemp("journal"),
        served=release(handling=handling),
        keys=[key(HIDDEN, headers="minimal", body_object=False)],
    ) as made:
        made.upstream.cases = {
            "good": [{"whole": completion(), "stream": HELLO}],
            "empty": [completion("")],
            "no": [completion(None, message={"refusal": "I will not."})],
            "down": [(503, [], b"{}")],
            "cut": [[chunk("Hel"), chunk("lo")]],
        }
        yield made


@pytest.fixture(scope="module")
def openai_client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{live.port}/v1", api_key=TOKEN, max_retries=0) as made:
        yield made


@pytest.fixture(autouse=True)
def an_hour_later(live: Live) -> None:
    live.on_loop(live.bench.clock.an_hour)


def asked(case: str) -> dict[str, Any]:
    return {"model": "support", "messages": [{"role": "user", "content": case}]}


def sure(found: Told | None) -> Told:
    assert found is not None
    return found


def test_an_answer(openai_client: openai.OpenAI, live: Live) -> None:
    said = sure(told(openai_client.chat.completions.create(**asked("good"))))
    assert said == Told(
        inference=live.records()[-1].id, workflow="support", release=release().digest, route="release",
        outcome="answered", target="main", cost_usd=0.02,
    )  # fmt: skip
    assert said.by_model
    assert said.raw["outcome"] == "answered"
    assert told(said) is said


def test_an_answer_that_no_model_wrote(openai_client: openai.OpenAI) -> None:
    said = sure(told(openai_client.chat.completions.parse(**asked("empty"))))
    assert (said.outcome, said.failure, said.by_model) == ("canned", "invalid", False)


def test_a_call_that_a_person_will_answer(openai_client: openai.OpenAI) -> None:
    said = sure(told(openai_client.chat.completions.create(**asked("no"))))
    assert said.outcome == "escalated"
    assert isinstance(said.escalation, Escalated)
    assert said.escalation.poll_url == f"/v1/escalations/{said.escalation.id}"
    assert said.escalation.answer_by > 1.7e9


def test_of_a_stream_only_the_last_event_tells_and_the_stream_itself_what_was_known_before(
    openai_client: openai.OpenAI,
) -> None:
    stream = openai_client.chat.completions.create(**asked("good"), stream=True)
    before = sure(told(stream))
    assert (before.workflow, before.route, before.outcome, before.by_model) == ("support", "release", None, False)
    found = [told(event) for event in stream]
    assert found[:-1] == [None] * (len(found) - 1)
    last = sure(found[-1])
    assert (last.inference, last.outcome) == (before.inference, "answered")


def test_the_helper_of_streams_tells_as_well(openai_client: openai.OpenAI) -> None:
    said = None
    with openai_client.chat.completions.stream(**asked("good")) as stream:
        before = sure(told(stream))
        for event in stream:
            said = told(event) or said
    assert sure(said).outcome == "answered"
    assert sure(said).inference == before.inference


def test_raw_and_streamed_responses_tell(openai_client: openai.OpenAI) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(**asked("good"))
    assert told(raw) == told(raw.parse()) == told(raw.http_response) == told(raw.http_response.json())
    by_header = sure(told(raw.headers))
    assert by_header == sure(told(dict(raw.headers)))
    assert (by_header.inference, by_header.outcome) == (sure(told(raw)).inference, "answered")
    with openai_client.chat.completions.with_streaming_response.create(**asked("good")) as streamed:
        assert sure(told(streamed)).workflow == "support"


def test_an_error(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        openai_client.chat.completions.create(**asked("down"))
    said = sure(told(caught.value))
    assert (said.outcome, said.failure, said.route) == ("error", "unavailable", "release")


def test_a_stream_that_broke_is_told_by_its_stream(openai_client: openai.OpenAI) -> None:
    stream = openai_client.chat.completions.create(**asked("cut"), stream=True)
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert told(caught.value) is None  # the client keeps the error and drops what stands beside it
    assert sure(told(stream)).workflow == "support"


def test_of_a_key_that_hides_the_rest_the_inference_is_known(live: Live, openai_client: openai.OpenAI) -> None:
    hidden = openai_client.with_options(api_key=HIDDEN)
    said = sure(told(hidden.chat.completions.create(**asked("good"))))
    assert said == Told(inference=live.records()[-1].id)
    assert said.outcome is None
    with pytest.raises(openai.InternalServerError) as caught:
        hidden.chat.completions.create(**asked("down"))
    assert sure(told(caught.value)) == Told(inference=live.records()[-1].id)


def test_no_answer_is_told_of_nobody(openai_client: openai.OpenAI) -> None:
    nowhere = openai_client.with_options(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(openai.APIConnectionError) as caught:
        nowhere.chat.completions.create(**asked("good"))
    assert told(caught.value) is None


ID = "inf_" + "0" * 32
OBJECT: dict[str, Any] = {"inference": ID, "route": "release", "outcome": "recovered", "cost_usd": None}


@pytest.mark.parametrize(
    "given",
    [
        None, "inf_", 7, [], {}, {"roadworthy": None}, {"roadworthy": {"note": "continued", "seam": 412}},
        {"inference": "other"}, {"x-request-id": "req_123"}, {"x-request-id": 7}, ValueError("x"), httpx2.Response(200),
        httpx2.Response(200, text="<html>"), object(), {"response": "text"}, type,
    ],
)  # fmt: skip
def test_what_says_nothing_of_roadworthy_is_none(given: object) -> None:
    assert told(given) is None


@pytest.mark.parametrize(
    "given",
    [
        OBJECT, {"roadworthy": OBJECT}, {"type": "response.completed", "response": {"roadworthy": OBJECT}},
        {"type": "message_stop", "roadworthy": OBJECT}, httpx2.Response(200, json={"roadworthy": OBJECT}),
        httpx2.Response(503, json={"error": {}, "roadworthy": OBJECT}),
    ],
)  # fmt: skip
def test_dicts_and_http_responses_tell(given: object) -> None:
    assert told(given) == Told(inference=ID, route="release", outcome="recovered")


def test_every_field_has_its_type_and_a_wrong_one_is_unknown() -> None:
    whole = {
        **OBJECT, "workflow": "support", "release": "rel_1", "failure": "truncated", "target": "main", "stage": "10 %",
        "would": "bypassed: no receipt", "age_seconds": 7, "cost_usd": 0.5, "notes": ["continued"], "overrides": ["n"],
        "seams": [{"at": 412, "target": "main"}, {"at": "x"}, 7], "escalation": {"id": ID, "poll_url": "/x",
        "answer_by": 1.0}, "news": "of a newer gateway",
    }  # fmt: skip
    said = sure(told(whole))
    assert said == Told(
        inference=ID, workflow="support", release="rel_1", route="release", outcome="recovered", failure="truncated",
        target="main", stage="10 %", would="bypassed: no receipt", cost_usd=0.5, age_seconds=7.0, notes=("continued",),
        overrides=("n",), seams=(Seam(at=412, target="main"),),
        escalation=Escalated(id=ID, poll_url="/x", answer_by=1.0),
    )  # fmt: skip
    assert said.raw["news"] == "of a newer gateway"
    assert {said: 1}[said] == 1
    wrong = {"inference": ID, "workflow": 7, "cost_usd": "1", "notes": "x", "escalation": {"id": 1}, "seams": None}
    assert told(wrong) == Told(inference=ID)


def test_headers_in_any_case_tell_what_is_known() -> None:
    headers = {
        "X-Request-Id": ID, "X-Roadworthy-Inference": ID, "X-Roadworthy-Workflow": "support",
        "X-Roadworthy-Release": "none", "X-Roadworthy-Route": "passthrough", "X-Roadworthy-Outcome": "cached",
        "X-Roadworthy-Age": "12", "X-Roadworthy-Would": "bypassed: no receipt", "X-Roadworthy-Stage": "1 %",
    }  # fmt: skip
    assert told(headers) == Told(
        inference=ID, workflow="support", route="passthrough", outcome="cached", age_seconds=12.0,
        would="bypassed: no receipt", stage="1 %",
    )  # fmt: skip


def test_its_words_are_the_gateways() -> None:
    assert get_args(ours.Outcome) == inference.OUTCOMES
    assert get_args(ours.Failure) == inference.FAILURES
    assert get_args(ours.Route) == inference.ROUTES
    assert get_args(ours.KillState) == get_args(kill_switch.State)
    assert get_args(ours.EscalationStatus) == get_args(escalations.Status)
    assert get_args(ours.FlagReason) == (*get_args(flags.Reason), "ERROR")


def test_importing_it_loads_nothing_else_of_roadworthy_and_no_library_but_its_own() -> None:
    code = (
        "import sys\nimport httpx2\nbefore = set(sys.modules)\nimport roadworthy.client\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new = done.stdout.split()
    mine = {name for name in new if name.partition(".")[0] == "roadworthy"}
    assert {name for name in mine if not name.startswith("roadworthy.client")} == {"roadworthy"}
    assert {name.partition(".")[0] for name in new if name not in mine} <= sys.stdlib_module_names
