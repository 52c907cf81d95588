"""The checks in the serving path: order, budgets of time and money, fail-open and fail-closed, what is recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from checks_bench import SCHEMA, TOOLS, asked, bench, spec, tool_call
from gateway_support import Bench, chat, completion, events, managed, on_loop, said, text_of

from roadworthy.gateway.checks.checking import canary_of
from roadworthy.gateway.checks.structure import ToolCheck
from roadworthy.workflow.model import Step

# --- structure


def test_tools_of_a_providers_own_may_be_called() -> None:
    ours = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["a"]}}}
    check = ToolCheck([ours, {"type": "bash_20250124", "name": "bash"}])
    assert not check.faults("bash", '{"command":"ls"}')
    assert check.faults("bash", "ls")
    assert check.faults("f", "{}")
    assert check.faults("left_click", "{}")
    assert not ToolCheck([{"type": "computer_toolset_20260801"}]).faults("left_click", "{}")


@on_loop
async def test_prose_around_json_is_mended_and_said_so(tmp_path: Path) -> None:
    made = bench(tmp_path, behaviour={"schema": SCHEMA}, repair_json=True)
    answer, record = await asked(made, completion('Sure!\n```json\n{"topic": "card",}\n```'))
    assert msgspec.json.decode(said(answer)["choices"][0]["message"]["content"]) == {"topic": "card"}
    assert (record.outcome, record.failure, len(record.attempts)) == ("recovered", "invalid", 1)
    assert "json_repaired" in record.notes
    assert [(check.name, check.passed) for check in record.checks] == [("schema", True)]
    assert said(answer)["usage"]["total_tokens"] == 15


@on_loop
async def test_a_mended_answer_that_was_not_served_leaves_no_note(tmp_path: Path) -> None:
    rude = spec("forbidden", options={"phrases": ["idiot"]})
    made = bench(
        tmp_path, {"forbidden": rude}, behaviour={"schema": SCHEMA}, repair_json=True,
        ladder={"unsafe": [Step("retry")]},
    )  # fmt: skip
    _, record = await asked(made, completion('{"topic": "idiot",}'), completion('{"topic": "card"}'))
    assert (record.outcome, record.failure, record.notes) == ("recovered", "unsafe", [])


@pytest.mark.parametrize("text", ['{"topic": 7,}', "I would call it {topic}", "Sorry, no.", '{"topic": "ca'])
@on_loop
async def test_what_is_mended_must_still_satisfy_the_schema(tmp_path: Path, text: str) -> None:
    made = bench(tmp_path, behaviour={"schema": SCHEMA}, repair_json=True)
    answer, record = await asked(made, completion(text))
    assert (answer.status, record.outcome, record.failure) == (503, "error", "invalid")
    assert text not in record.checks[0].detail


@on_loop
async def test_nothing_is_mended_that_nobody_asked_to_mend(tmp_path: Path) -> None:
    made = bench(tmp_path, behaviour={"schema": SCHEMA})
    _, record = await asked(made, completion('{"topic": "card",}'))
    assert record.failure == "invalid"
    observed = bench(tmp_path / "observed", behaviour={"schema": SCHEMA}, enforcement="observe", repair_json=True)
    answer, record = await asked(observed, completion('{"topic": "card",}'))
    assert said(answer)["choices"][0]["message"]["content"] == '{"topic": "card",}'
    assert (record.outcome, record.failure, record.notes) == ("answered", "invalid", [])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("delete_all", "{}"), ("look_up", '{"order": '), ("look_up", '{"order": "seven"}'), ("look_up", "{}"), ("", "{}")],
)
@on_loop
async def test_a_wrong_call_of_a_tool_is_invalid_and_the_model_is_told_why(
    tmp_path: Path, name: str, arguments: str
) -> None:
    ladder = {"invalid": [Step("repair")]}
    made = bench(tmp_path, behaviour={"tools": TOOLS}, ladder=ladder)
    _, record = await asked(made, tool_call(name, arguments), tool_call("look_up", '{"order": 7}'))
    assert (record.outcome, record.failure) == ("recovered", "invalid")
    assert [(check.name, check.passed) for check in record.checks] == [("tools", True)]
    told = made.upstream.sent[-1].body["messages"][-1]["content"]
    assert "tool" in told or "order" in told or "arguments" in told


@on_loop
async def test_a_right_call_of_a_tool_passes_schema_and_text_checks(tmp_path: Path) -> None:
    made = bench(
        tmp_path, {"short": spec("length", options={"min_chars": 5})}, behaviour={"tools": TOOLS, "schema": SCHEMA}
    )
    _, record = await asked(made, tool_call("look_up", '{"order": 7}'))
    assert (record.outcome, [check.name for check in record.checks]) == ("answered", ["schema", "tools"])


@on_loop
async def test_an_observed_callers_own_tools_are_the_ones_that_count(tmp_path: Path) -> None:
    made = bench(tmp_path, enforcement="observe")
    own = [{"type": "function", "function": {"name": "mine"}}]
    _, record = await asked(made, tool_call("look_up", "{}"), tools=own)
    assert (record.outcome, record.failure) == ("answered", "invalid")
    made = bench(tmp_path / "right", enforcement="observe")
    _, record = await asked(made, tool_call("mine", "{}"), tools=own)
    assert (record.outcome, record.failure) == ("answered", None)


@pytest.mark.parametrize("text", ["", " \n\t", "\x00" * 40, "\x00 \n\x00", "\u200b\ufeff\u3000", "\xa0"])
@on_loop
async def test_blanks_and_nul_are_an_empty_answer(tmp_path: Path, text: str) -> None:
    _, record = await asked(Bench(tmp_path), completion(text))
    assert record.attempts[0].failure == "invalid"
    assert record.outcome != "answered"


# --- declared checks


@on_loop
async def test_a_workflow_without_checks_has_no_checking_at_all(tmp_path: Path) -> None:
    made = Bench(tmp_path)
    assert made.gateway.world is not None
    assert made.gateway.world.workflows["support"].checking is None


@on_loop
async def test_checks_run_in_order_and_stop_at_the_first_that_fails(tmp_path: Path) -> None:
    made = bench(
        tmp_path,
        {
            "noted": spec("length", "invalid", record_only=True, options={"max_chars": 3}),
            "clean": spec("garbage", "invalid"),
            "promises": spec("forbidden", options={"phrases": ["full refund"]}),
            "later": spec("secrets"),
        },
        ladder={"unsafe": [Step("drop")]},
    )
    answer, record = await asked(made, completion("You get a full refund."))
    assert (answer.status, record.outcome, record.failure) == (200, "blocked", "unsafe")
    found = [(check.name, check.passed, check.failure) for check in record.checks]
    assert found == [("noted", False, None), ("clean", True, None), ("promises", False, "unsafe")]
    assert record.checks[-1].span == (10, 21)
    assert record.checks[-1].score == 1.0
    assert "full refund" not in answer.body.decode()


@on_loop
async def test_a_later_attempt_takes_the_place_of_an_earlier_verdict(tmp_path: Path) -> None:
    made = bench(
        tmp_path, {"short": spec("length", "invalid", options={"max_chars": 9})}, ladder={"invalid": [Step("retry")]}
    )
    _, record = await asked(made, completion("far too long"), completion("short"))
    assert (record.outcome, record.failure) == ("recovered", "invalid")
    assert [(check.name, check.passed) for check in record.checks] == [("short", True)]


@on_loop
async def test_a_json_answer_is_read_as_its_readers_do(tmp_path: Path) -> None:
    checks = {"promises": spec("forbidden", options={"phrases": ["für immer"]})}
    made = bench(tmp_path, checks, behaviour={"schema": SCHEMA})
    _, record = await asked(made, completion('{"topic": "a", "reply": "Gratis f\\u00fcr immer"}'))
    assert record.failure == "unsafe"


@on_loop
async def test_what_the_caller_sent_is_no_leak_and_the_canary_is(tmp_path: Path) -> None:
    prompt = managed("You are the assistant of Acme.")
    prompt = msgspec.structs.replace(prompt, canary=True)
    checks = {"personal_data": spec("personal_data"), "prompt_leak": spec("prompt_leak")}
    made = bench(tmp_path, checks, behaviour={"prompt": prompt})
    mail = [{"role": "user", "content": "I am ann.walker@post.io"}]
    _, record = await asked(made, completion("We write to ann.walker@post.io"), messages=mail)
    assert record.outcome == "answered"
    canary = canary_of("b" * 64)
    assert canary in made.upstream.sent[0].body["messages"][0]["content"]
    leaking = bench(tmp_path / "leak", checks, behaviour={"prompt": prompt})
    _, record = await asked(leaking, completion(f"My prompt ends with {canary.upper()}"))
    assert (record.failure, record.checks[-1].name) == ("unsafe", "prompt_leak")


@pytest.mark.parametrize(
    ("check", "arguments", "found"),
    [
        ("secrets", '{"order": 7, "note": "sk-ant-api03-aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7dE9"}', True),
        ("personal_data", '{"order": 7, "to": "maria.\\u006aones@corp.net"}', True),
        ("personal_data", '{"order": 7, "to": "ann@shop.net"}', False),
        ("forbidden", '{"order": 7, "note": "a full refund"}', False),
    ],
)
@on_loop
async def test_what_an_app_acts_on_is_a_way_out_for_leaks_and_not_what_people_read(
    tmp_path: Path, check: Any, arguments: str, found: bool
) -> None:
    options = {"phrases": ["full refund"]} if check == "forbidden" else {}
    free = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
    made = bench(tmp_path, {check: spec(check, options=options)}, behaviour={"tools": free})
    asking = [{"role": "user", "content": "I am ann@shop.net"}]
    _, record = await asked(made, tool_call("look_up", arguments), messages=asking)
    assert (record.failure == "unsafe") is found
    assert (check in [one.name for one in record.checks]) is (check != "forbidden")


@on_loop
async def test_an_answer_of_a_megabyte_is_judged_off_the_loop(tmp_path: Path) -> None:
    patient = {"timeout": 60.0}
    made = bench(
        tmp_path,
        {
            "language": spec("language", "invalid", options={"allowed": ["en"]}, **patient),
            "loop": spec("repetition", **patient),
        },
    )
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    text = " ".join(f"Parcel number {number} is on its way to you." for number in range(24_000))
    _, record = await asked(made, completion(text))
    ticking.cancel()
    assert record.outcome == "answered"
    assert ticks > 2


@on_loop
async def test_every_choice_is_judged(tmp_path: Path) -> None:
    body = msgspec.json.decode(completion("Fine."))
    body["choices"].append({**body["choices"][0], "index": 1, "message": {"role": "assistant", "content": "a\x00b"}})
    made = bench(tmp_path, {"garbage": spec("garbage", "invalid")})
    _, record = await asked(made, msgspec.json.encode(body), n=2)
    assert record.failure == "invalid"


@on_loop
async def test_observe_records_every_check_and_serves_the_answer_as_it_came(tmp_path: Path) -> None:
    checks = {"a": spec("garbage", "invalid"), "b": spec("length", "invalid", options={"max_chars": 1})}
    made = bench(tmp_path, checks, enforcement="observe")
    answer, record = await asked(made, completion("a\x00b"))
    assert said(answer)["choices"][0]["message"]["content"] == "a\x00b"
    assert (record.outcome, record.failure, len(record.checks)) == ("answered", "invalid", 2)


@on_loop
async def test_a_stream_that_has_left_is_only_recorded(tmp_path: Path) -> None:
    from gateway_support import HELLO

    made = bench(tmp_path, {"short": spec("length", "invalid", record_only=True, options={"max_chars": 2})})
    served = made.gateway.world
    assert served is not None
    object.__setattr__(served.workflows["support"], "handling", msgspec.structs.replace(
        served.workflows["support"].handling, stream="passthrough"
    ))  # fmt: skip
    made.upstream.will(HELLO)
    found = await events(await made.post(chat(stream=True)))
    assert text_of(found) == "Hello"
    record = made.record()
    assert [(check.name, check.passed, check.failure) for check in record.checks] == [("short", False, None)]
