"""``told`` reads what the official clients make of answers and streams of the Responses and the Messages API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import msgspec
import openai
import pytest
from gateway_live import CaseUpstream, Live
from gateway_support import HELLO, TOKEN, chunk, completion, key, release

from roadworthy.client import Told, told
from roadworthy.http1.messages import Clocks
from roadworthy.workflow.model import Canned, Handling, Step

HIDDEN = "rw-" + "h" * 40
LADDER = {"refused": [Step("escalate")], "invalid": [Step("canned")], "unavailable": [], "truncated": []}
Ask = Callable[..., Any]


class ByLastWord(CaseUpstream):
    """Cases whatever shape the translated request has."""

    async def _next(self, origin: Any, head: bytes, body: bytes, clocks: Clocks) -> Any:
        asked = msgspec.json.decode(body)
        [said] = [message["content"] for message in asked["messages"] if message["role"] == "user"]
        case = said if isinstance(said, str) else said[0]["text"]
        plain = msgspec.json.encode({**asked, "messages": [{"role": "user", "content": case}]})
        return await super()._next(origin, head, plain, clocks)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    handling = Handling(ladder=LADDER, holding=Canned("Soon."), canned=Canned("Later."))  # type: ignore[arg-type]
    with Live(
        tmp_path_factory.mktemp("journal"), served=release(handling=handling),
        keys=[key(HIDDEN, headers="minimal", body_object=False)],
    ) as made:  # fmt: skip
        upstream = ByLastWord()
        upstream.cases = {
            "good": [{"whole": completion(), "stream": HELLO}], "empty": [completion("")],
            "no": [completion(None, message={"refusal": "I will not."})], "down": [(503, [], b"{}")],
            "cut": [[chunk("Hel"), chunk("lo")]],
        }  # fmt: skip
        made.upstream.cases = upstream.cases
        made.upstream._next = upstream._next  # type: ignore[method-assign]
        yield made


@pytest.fixture(autouse=True)
def an_hour_later(live: Live) -> None:
    live.on_loop(live.bench.clock.an_hour)


@pytest.fixture(scope="module")
def respond(live: Live) -> Iterator[Ask]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{live.port}/v1", api_key=TOKEN, max_retries=0) as client:

        def ask(case: str, *, api_key: str = TOKEN, helper: bool = False, **more: Any) -> Any:
            responses = client.with_options(api_key=api_key).responses
            return (responses.stream if helper else responses.create)(model="support", input=case, **more)

        yield ask


@pytest.fixture(scope="module")
def message(live: Live) -> Iterator[Ask]:
    with anthropic.Anthropic(base_url=f"http://127.0.0.1:{live.port}", api_key=TOKEN, max_retries=0) as client:

        def ask(case: str, *, api_key: str = TOKEN, helper: bool = False, **more: Any) -> Any:
            messages: Any = client.with_options(api_key=api_key).messages
            asked: Any = [{"role": "user", "content": case}]
            make = messages.stream if helper else messages.create
            return make(model="support", max_tokens=50, messages=asked, **more)

        yield ask


@pytest.fixture(params=["responses", "messages"])
def ask(request: pytest.FixtureRequest, respond: Ask, message: Ask) -> Ask:
    return respond if request.param == "responses" else message


def sure(found: Told | None) -> Told:
    assert found is not None
    return found


@pytest.mark.parametrize(("case", "outcome"), [("good", "answered"), ("empty", "canned"), ("no", "escalated")])
def test_a_whole_answer(ask: Ask, live: Live, case: str, outcome: str) -> None:
    said = sure(told(ask(case)))
    record = live.records()[-1]
    assert (said.inference, said.outcome) == (record.id, outcome)
    assert (said.workflow, said.cost_usd, said.target) == ("support", record.cost_usd, record.target)
    assert (said.escalation is not None) == (outcome == "escalated")


def test_an_error(ask: Ask) -> None:
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught:
        ask("down")
    assert (sure(told(caught.value)).outcome, sure(told(caught.value)).failure) == ("error", "unavailable")


@pytest.mark.parametrize(("case", "outcome"), [("good", "answered"), ("empty", "canned")])
def test_the_events_that_end_a_stream(ask: Ask, case: str, outcome: str) -> None:
    stream = ask(case, stream=True)
    before = sure(told(stream))
    found = [(event.type, told(event)) for event in stream]
    holding = [kind for kind, said in found if said is not None]
    assert holding in (["response.completed"], ["message_delta", "message_stop"])
    for _, said in found[-len(holding) :]:
        assert (sure(said).inference, sure(said).outcome) == (before.inference, outcome)


def test_the_helper_of_the_openai_client_keeps_it_in_its_last_event_and_in_the_final_response(respond: Ask) -> None:
    with respond("good", helper=True) as stream:
        last = [told(event) for event in stream][-1]
        assert sure(last).outcome == "answered"
        assert told(stream.get_final_response()) == last
        assert sure(told(stream)).inference == sure(last).inference


@pytest.mark.parametrize(("case", "outcome"), [("good", "answered"), ("empty", "canned")])
def test_the_helper_of_anthropics_client_makes_its_own_last_event_and_hands_on_the_one_before(
    message: Ask, live: Live, case: str, outcome: str
) -> None:
    said = None
    with message(case, helper=True) as stream:
        for event in stream:
            said = told(event) or said
        assert stream.get_final_message().stop_reason == "end_turn"
    assert (sure(said).inference, sure(said).outcome) == (live.records()[-1].id, outcome)


def test_a_stream_that_breaks(respond: Ask, message: Ask) -> None:
    seen: list[Told | None] = []
    with pytest.raises(openai.APIError):
        seen.extend(map(told, respond("cut", stream=True)))
    assert (sure(seen[-1]).outcome, sure(seen[-1]).failure) == ("error", "truncated")  # response.failed
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(message("cut", stream=True))
    assert (sure(told(caught.value)).outcome, sure(told(caught.value)).failure) == ("error", "truncated")


def test_of_a_key_that_hides_the_rest_the_inference_is_known(ask: Ask, live: Live) -> None:
    assert told(ask("good", api_key=HIDDEN)) == Told(inference=live.records()[-1].id)
    stream = ask("good", api_key=HIDDEN, stream=True)
    assert [told(event) for event in stream][-1] is None
    assert told(stream) == Told(inference=live.records()[-1].id)


def test_what_is_refused_before_it_is_a_call_has_an_id_that_the_clients_show(respond: Ask, message: Ask) -> None:
    with pytest.raises(openai.AuthenticationError) as by_openai:
        respond("good", api_key="rw-unknown")
    with pytest.raises(anthropic.AuthenticationError) as by_anthropic:
        message("good", api_key="rw-unknown")
    for error in (by_openai.value, by_anthropic.value):
        assert (error.request_id or "").startswith("req_")
        assert told(error) is None  # it has no record
