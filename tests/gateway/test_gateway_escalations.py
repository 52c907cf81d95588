"""A call that is handed to a human: on disk before its caller hears of it, and told to nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import Bench, chat, completion, events, header, key, on_loop, release, said, text_of

from roadworthy.gateway.answers.escalations import LONGEST_TRANSCRIPT, MOST_KEPT, News, Told, newest
from roadworthy.gateway.messages import Headers, Request, Response
from roadworthy.workflow.inference import Escalation, new_inference_id
from roadworthy.workflow.model import Bypass, Canned, CheckSpec, EscalationPolicy, Handling, Policy, Step

HOLDING = Canned("A colleague will answer you today.")
LADDER = {"refused": [Step("escalate"), Step("canned")], "unsafe": [Step("drop"), Step("escalate")]}
FORBIDDEN = {"forbidden": CheckSpec("forbidden", "unsafe", options={"patterns": ["secret"]})}
REFUSED = completion(None, message={"refusal": "I will not."})
SIGNED: Headers = [(b"webhook-id", b"evt_1"), (b"webhook-timestamp", b"1"), (b"webhook-signature", b"v1,x")]


class FakeControl:
    """Answers what the test says; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Headers, bytes]] = []
        self.reply: Response | None = None

    async def ask(self, method: str, path: str, headers: Headers, body: bytes) -> Response | None:
        self.asked.append((method, path, headers, body))
        return self.reply


def bench(folder: Path, *, handling: dict[str, Any] | None = None, policy: Policy | None = None, **more: Any) -> Bench:
    behaviour = more.pop("behaviour", None)
    made = Handling(**{"ladder": LADDER, "holding": HOLDING, "canned": Canned("Later."), **(handling or {})})
    found = Bench(folder, served=release(handling=made, behaviour=behaviour), policy=policy, **more)
    found.upstream.will(REFUSED)
    return found


def control_of(found: Bench) -> FakeControl:
    control = FakeControl()
    found.gateway.escalations._control = control
    return control


def opened(found: Bench) -> Escalation:
    [line] = [line for line in found.lines() if isinstance(line, Escalation)]
    return line


def told(ident: str, status: str = "answered", **more: Any) -> Told:
    fields: dict[str, Any] = {"text": "It arrives tomorrow.", "answered_at": 7.0} if status == "answered" else {}
    return Told(ident, "default", "support", status, 9e9, **{**fields, **more})  # type: ignore[arg-type]


async def push(found: Bench, *news: Told, **more: Any) -> None:
    body = msgspec.json.encode(News(list(news), **more))
    answer = await found.gateway.handle(Request("POST", "/internal/escalations", "", [], body, "", internal=True))
    assert answer.status == 200


@on_loop
async def test_the_caller_reads_the_holding_answer_and_where_the_humans_will_be(tmp_path: Path) -> None:
    found = bench(tmp_path)
    answer = said(await found.post())
    line = opened(found)
    assert answer["choices"][0]["message"]["content"] == HOLDING.text
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["roadworthy"]["outcome"] == "escalated"
    assert answer["roadworthy"]["escalation"] == {
        "id": line.inference, "poll_url": f"/v1/escalations/{line.inference}", "answer_by": line.ts + 4 * 3600,
    }  # fmt: skip


@on_loop
async def test_the_line_says_everything_that_a_human_needs_and_stands_before_the_record(tmp_path: Path) -> None:
    found = bench(tmp_path)
    await found.post(chat(user="u-9", roadworthy={"session": "s-1"}))
    line = opened(found)
    kinds = [type(each).__name__ for each in found.lines()]
    assert kinds == ["InferenceStart", "Escalation", "Inference"]
    assert (line.failure, line.unit, line.session, line.holding) == ("refused", "u-9", "s-1", HOLDING.text)
    assert line.messages is not None
    assert json.loads(bytes(line.messages)) == [{"role": "user", "content": "Hi"}]
    assert found.record().outcome == "escalated"
    assert [rung.step for rung in found.record().ladder] == ["escalate"]


@on_loop
async def test_the_line_is_synced_before_the_answer_leaves(tmp_path: Path) -> None:
    synced: list[int] = []
    found = bench(tmp_path, fdatasync=synced.append)
    await found.post()
    assert len(synced) == 1


@pytest.mark.parametrize("stage", ["write", "sync"])
@on_loop
async def test_what_cannot_be_kept_is_promised_to_nobody_and_the_next_step_is_taken(tmp_path: Path, stage: str) -> None:
    def no_space(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    found = bench(tmp_path, **({"fdatasync": no_space} if stage == "sync" else {}))
    if stage == "write":
        write, lines = found.journal._write_to, iter([True, False, True, True])
        found.journal._write_to = lambda fd, data: write(fd, data) if next(lines) else no_space()
    answer = said(await found.post())
    assert answer["choices"][0]["message"]["content"] == "Later."
    assert answer["roadworthy"]["outcome"] == "canned"
    assert "escalation" not in answer["roadworthy"]
    assert found.journal.counts.escalations_refused == 1


@on_loop
async def test_a_disk_that_never_syncs_holds_the_caller_no_longer_than_its_deadline(tmp_path: Path) -> None:
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hangs(fd: int) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()

    found = bench(tmp_path, handling={"deadline": 0.1}, fdatasync=hangs)
    answer = said(await found.post())
    gate.set()
    assert answer["roadworthy"]["outcome"] == "canned"


@pytest.mark.parametrize(("steps", "draft"), [([Step("escalate")], "secret"), (LADDER["unsafe"], None)])
@on_loop
async def test_a_human_sees_the_draft_unless_it_was_dropped(
    tmp_path: Path, steps: list[Step], draft: str | None
) -> None:
    found = bench(tmp_path, handling={"ladder": {"unsafe": steps}, "checks": FORBIDDEN})
    found.upstream.will(completion("secret"))
    await found.post()
    assert opened(found).failure == "unsafe"
    assert opened(found).draft == draft


@on_loop
async def test_a_stream_reads_the_holding_answer_as_events(tmp_path: Path) -> None:
    found = bench(tmp_path, handling={"stream": "buffered"})
    heard = await events(await found.post(chat(stream=True)))
    assert text_of(heard) == HOLDING.text
    assert heard[-2]["roadworthy"]["escalation"]["id"] == opened(found).inference


@on_loop
async def test_where_a_schema_applies_the_holding_answer_is_a_refusal_that_parses(tmp_path: Path) -> None:
    found = bench(tmp_path, behaviour={"schema": {"type": "object"}})
    message = said(await found.post())["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, HOLDING.text)
    assert opened(found).structured


@on_loop
async def test_nothing_is_handed_over_without_a_holding_answer_or_beyond_the_capacity(tmp_path: Path) -> None:
    found = Bench(tmp_path / "a", served=release(handling=Handling(ladder=LADDER, canned=Canned("Later."))))
    found.upstream.will(REFUSED)
    assert said(await found.post())["roadworthy"]["outcome"] == "canned"
    full = bench(tmp_path / "b", policy=Policy(escalation=EscalationPolicy(capacity=2)))
    outcomes = [said(await full.post())["roadworthy"]["outcome"] for _ in range(3)]
    assert outcomes == ["escalated", "escalated", "canned"]


@on_loop
async def test_what_control_counts_takes_the_place_of_what_was_only_opened_here(tmp_path: Path) -> None:
    found = bench(tmp_path, policy=Policy(escalation=EscalationPolicy(capacity=1)))
    await found.post()
    ident = opened(found).inference
    await push(found, told(ident, "pending"), open={"support": 1})
    assert said(await found.post())["roadworthy"]["outcome"] == "canned"
    await push(found, told(ident), open={})
    assert said(await found.post())["roadworthy"]["outcome"] == "escalated"


@on_loop
async def test_the_poll_goes_from_pending_to_the_humans_answer_in_the_shape_of_a_completion(tmp_path: Path) -> None:
    found = bench(tmp_path)
    await found.post()
    ident = opened(found).inference
    pending = await found.get(f"/v1/escalations/{ident}")
    assert said(pending)["status"] == "pending"
    assert header(pending, b"retry-after") == b"2"
    await push(found, told(ident))
    answered = said(await found.get(f"/v1/escalations/{ident}"))
    assert (answered["status"], answered["answered_at"]) == ("answered", 7.0)
    assert answered["answer"]["object"] == "chat.completion"
    assert answered["answer"]["choices"][0]["message"]["content"] == "It arrives tomorrow."


@pytest.mark.parametrize("status", ["expired", "cancelled"])
@on_loop
async def test_an_end_without_an_answer_is_told_too(tmp_path: Path, status: str) -> None:
    found = bench(tmp_path)
    await found.post()
    await push(found, told(opened(found).inference, status))
    answer = await found.get(f"/v1/escalations/{opened(found).inference}")
    assert said(answer)["status"] == status
    assert header(answer, b"retry-after") is None


@on_loop
async def test_another_team_and_a_key_of_another_workflow_read_nothing_not_even_that_it_exists(tmp_path: Path) -> None:
    other, narrow = "rw-" + "c" * 40, "rw-" + "d" * 40
    keys = [key(other, team="other"), key(narrow, workflows=["elsewhere"])]
    found = bench(tmp_path, keys=keys)
    await found.post()
    ident = opened(found).inference
    await push(found, told(ident))
    unknown = await found.get("/v1/escalations/inf_" + "0" * 32, token=other)  # control is silent
    control_of(found).reply = Response(404, [], b"{}")
    for token in (other, narrow):
        answer = await found.get(f"/v1/escalations/{ident}", token=token)
        assert (answer.status, said(answer)["error"]["code"]) == (404, "not_found")
    assert said(unknown)["status"] == "pending"
    assert (await found.get(f"/v1/escalations/{ident}", token="rw-wrong")).status == 401


@pytest.mark.parametrize("ident", ["x", "inf_", "inf_" + "g" * 32, "../../healthz", "inf_" + "0" * 33])
@on_loop
async def test_what_is_no_id_is_not_asked_of_control(tmp_path: Path, ident: str) -> None:
    found = bench(tmp_path)
    control = control_of(found)
    assert (await found.get(f"/v1/escalations/{ident}")).status == 404
    assert control.asked == []


@on_loop
async def test_what_this_worker_does_not_hold_is_asked_of_control_and_then_known(tmp_path: Path) -> None:
    found = bench(tmp_path)
    control, ident = control_of(found), "inf_" + "1" * 32
    control.reply = Response(200, [], msgspec.json.encode(told(ident)))
    for _ in range(2):
        assert said(await found.get(f"/v1/escalations/{ident}"))["status"] == "answered"
    assert [(method, path) for method, path, _, _ in control.asked] == [("GET", f"/v1/escalations/{ident}/told")]


@on_loop
async def test_one_that_another_worker_opened_a_moment_ago_is_pending_until_it_was_shipped(tmp_path: Path) -> None:
    found = bench(tmp_path)
    control_of(found).reply = Response(404, [], b"{}")
    young = new_inference_id(found.clock.now() - 1.0, 5)
    old = new_inference_id(found.clock.now() - 3600.0, 5)
    assert said(await found.get(f"/v1/escalations/{young}"))["status"] == "pending"
    assert (await found.get(f"/v1/escalations/{old}")).status == 404


@on_loop
async def test_the_table_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    found = bench(tmp_path)
    await push(found, *(told(f"inf_{number:032x}") for number in range(MOST_KEPT + 10)))
    kept = found.gateway.escalations._kept
    assert len(kept) == MOST_KEPT
    assert f"inf_{0:032x}" not in kept


@on_loop
async def test_what_was_forgotten_is_gone_from_the_table(tmp_path: Path) -> None:
    found = bench(tmp_path)
    ident = "inf_" + "1" * 32
    await push(found, told(ident))
    await push(found, gone=[ident])
    control_of(found).reply = Response(404, [], b"{}")
    assert (await found.get(f"/v1/escalations/{ident}")).status == 404


@on_loop
async def test_news_is_taken_from_the_private_socket_only(tmp_path: Path) -> None:
    found = bench(tmp_path)
    answer = await found.gateway.handle(Request("POST", "/internal/escalations", "", [], b"{}", "1.2.3.4"))
    assert answer.status == 404


async def waited(found: Bench, **more: Any) -> tuple[asyncio.Task[Any], str]:
    task = asyncio.ensure_future(found.post(chat(roadworthy={"wait": 30}, **more)))
    while not found.gateway.escalations._waiting:
        await asyncio.sleep(0)
        if task.done():
            raise AssertionError(task.result())
        await asyncio.sleep(0.001)
    return task, opened(found).inference


@on_loop
async def test_a_caller_that_waits_reads_the_humans_answer_as_if_a_model_had_written_it(tmp_path: Path) -> None:
    found = bench(tmp_path)
    task, ident = await waited(found, n=2)
    record = found.record()  # written before the wait, so that nothing of it can be lost
    await push(found, told(ident))
    answer = said(await task)
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["It arrives tomorrow."] * 2
    assert answer["roadworthy"]["outcome"] == record.outcome == "escalated"


@on_loop
async def test_a_caller_that_waits_too_long_reads_the_holding_answer(tmp_path: Path) -> None:
    found = bench(tmp_path)
    answer = said(await found.post(chat(roadworthy={"wait": 0.01})))
    assert answer["choices"][0]["message"]["content"] == HOLDING.text


@on_loop
async def test_a_gateway_that_stops_lets_waiting_callers_go_with_the_holding_answer(tmp_path: Path) -> None:
    found = bench(tmp_path)
    task, _ = await waited(found)
    found.gateway.escalations.let_go()
    assert said(await task)["choices"][0]["message"]["content"] == HOLDING.text


@on_loop
async def test_a_caller_that_leaves_while_it_waits_was_escalated_all_the_same(tmp_path: Path) -> None:
    found = bench(tmp_path)
    task, _ = await waited(found)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert [record.outcome for record in found.records()] == ["escalated"]
    assert (found.taken(), found.gateway.escalations._waiting) == (0, {})


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"callback": "https://evil.example/"}, "callback_not_registered"),
        ({"wait": -1}, "invalid_type"),
        ({"wait": "long"}, "invalid_type"),
    ],
)
@on_loop
async def test_a_wish_that_cannot_be_granted_is_refused_before_anything_is_spent(
    tmp_path: Path, wish: dict[str, Any], code: str
) -> None:
    found = bench(tmp_path)
    answer = await found.post(chat(roadworthy=wish))
    assert (answer.status, said(answer)["error"]["code"]) == (400, code)
    assert found.upstream.sent == []


@on_loop
async def test_a_registered_callback_goes_into_the_line(tmp_path: Path) -> None:
    token, url = "rw-" + "e" * 40, "https://shop.example/answers"
    found = bench(tmp_path, keys=[key(token, callbacks=[url])])
    await found.post(chat(roadworthy={"callback": url}), token=token)
    assert opened(found).callback == url


@on_loop
async def test_a_helpdesks_answer_reaches_control_with_its_bytes_and_signature_and_nothing_else(tmp_path: Path) -> None:
    found = bench(tmp_path)
    control, ident = control_of(found), "inf_" + "1" * 32
    control.reply = Response(200, [(b"content-type", b"application/json"), (b"server", b"x")], b'{"status":"answered"}')
    headers = [*SIGNED, (b"cookie", b"c"), (b"authorization", b"Bearer x"), (b"content-type", b"application/json")]
    path = f"/v1/escalations/{ident}/answer"
    answer = await found.gateway.handle(Request("POST", path, "", headers, b'{ "answer": 1 }', "1.2.3.4"))
    [(method, path, passed, body)] = control.asked
    assert (method, path, body) == ("POST", f"/v1/escalations/{ident}/reply", b'{ "answer": 1 }')
    assert [name for name, _ in passed] == [
        b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"content-type",
    ]  # fmt: skip
    assert (answer.status, header(answer, b"server")) == (200, None)


@on_loop
async def test_an_unsigned_or_huge_answer_goes_nowhere_and_a_silent_control_is_a_503_to_come_back_from(
    tmp_path: Path,
) -> None:
    found = bench(tmp_path)
    control, path = control_of(found), f"/v1/escalations/inf_{'1' * 32}/answer"

    async def post(headers: Headers, body: bytes) -> Any:
        return await found.gateway.handle(Request("POST", path, "", headers, body, ""))

    assert (await post([], b"{}")).status == 401
    assert (await post(SIGNED, b"x" * 300_000)).status == 413
    assert control.asked == []
    silent = await post(SIGNED, b"{}")
    assert (silent.status, header(silent, b"retry-after")) == (503, b"5")
    assert (await found.gateway.handle(Request("GET", path, "", [], b"", ""))).status == 405


@on_loop
async def test_a_human_bypass_hands_every_call_over_and_none_fails_for_it(tmp_path: Path) -> None:
    found = bench(tmp_path, handling={"bypass": Bypass("human")})
    found.journal.start = lambda line: False  # type: ignore[method-assign]
    answer = said(await found.post())
    assert answer["roadworthy"]["outcome"] == "escalated"
    assert opened(found).failure is None


@on_loop
async def test_messages_are_redacted_as_policy_says_and_a_transcript_that_is_too_long_keeps_its_end(
    tmp_path: Path,
) -> None:
    found = bench(tmp_path, policy=Policy(redact=["email"]))
    await found.post(chat(messages=[{"role": "user", "content": "I am ann@example.com"}]))
    assert b"ann@example.com" not in bytes(opened(found).messages or b"")
    long = [{"role": "user", "content": "x" * (LONGEST_TRANSCRIPT // 2)}, {"role": "user", "content": "the end"}] * 2
    kept, said_of_it = newest(msgspec.json.encode(long))
    assert json.loads(kept)[-1]["content"] == "the end"
    assert len(kept) <= LONGEST_TRANSCRIPT
    assert said_of_it == " (1 of 4 messages are too long and left out)"


def test_an_embedding_is_never_escalated(tmp_path: Path) -> None:
    found = bench(tmp_path)
    assert room(found, "live", "chat")
    assert not room(found, "live", "embeddings")


@pytest.mark.parametrize("traffic", ["eval", "load", "shadow"])
def test_machines_never_fill_a_humans_queue(tmp_path: Path, traffic: str) -> None:
    found = bench(tmp_path)
    assert not room(found, traffic, "chat")


def room(found: Bench, traffic: str, operation: str) -> bool:
    assert found.gateway.world is not None
    fields = {"serving": found.gateway.world.workflows["support"], "operation": operation, "traffic": traffic}
    return found.gateway.escalations.has_room(type("Call", (), fields)())


@on_loop
async def test_a_draft_that_nobody_could_send_is_left_out_of_the_line(tmp_path: Path) -> None:
    found = bench(tmp_path, handling={"checks": FORBIDDEN, "ladder": {"unsafe": [Step("escalate")]}})
    found.upstream.will(completion("secret " * 20_000))
    assert said(await found.post())["roadworthy"]["outcome"] == "escalated"
    assert opened(found).draft is None
