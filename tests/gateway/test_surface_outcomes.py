"""Claims of callers on every surface: whatever happens, they read the declared answer or one clean error, in their own
format, whether the target speaks it or is translated for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from gateway_support import header, key, release
from outcome_cases import OUTCOMES, TERMINAL, TEXTS, bare, both, bypassing, good, served, strict
from speech import SPEECH
from surface_support import PAIRS, Served, Stands, Told

from roadworthy.formats.model import Format
from roadworthy.http1.errors import Disconnected
from roadworthy.workflow.model import Budgets, Bypass, Policy

PAIRED = pytest.mark.parametrize(("asked", "speaks"), PAIRS, ids=[f"{one}-by-{other}" for one, other in PAIRS])
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
SHAPES = ["plain", "schema_with_json", "schema_with_text"]
HURRIED = "rw-" + "h" * 40
MINIMAL = "rw-" + "m" * 40
ANTHROPIC_TYPES = {400: "invalid_request_error", 422: "invalid_request_error", 429: "rate_limit_error"}


def _made(folder: Path, asked: Format, speaks: Format) -> Served:
    releases = [served("plain", "support"), *(served(shape) for shape in SHAPES), bare(), strict(), release("poor")]
    bypasses = {
        "old": Bypass(), "told": Bypass("canned", "Call us."), "person": Bypass("human"),
        "http": Bypass("http", url="http://old.test/path"),
    }  # fmt: skip
    releases += [bypassing(name, bypass) for name, bypass in bypasses.items()]
    hurried, minimal = key(HURRIED, requests_per_minute=1), key(MINIMAL, headers="minimal", body_object=False)
    poor = Policy(budgets=Budgets(inference=1e-6))
    return Served(folder, asked, speaks, *releases, keys=[hurried, minimal], policies={"poor": poor})


@pytest.fixture(scope="module")
def stands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stands]:
    made = Stands(lambda: tmp_path_factory.mktemp("journal"), _made)
    yield made
    made.close()


@PAIRED
@WAYS
@pytest.mark.parametrize("name", OUTCOMES)
def test_every_outcome_reads_as_declared(
    stands: Stands, name: str, stream: bool, asked: Format, speaks: Format
) -> None:
    outcome = name.split()[0]

    async def at(made: Served) -> None:
        for shape in SHAPES:
            case = {"stream": stream, "model": shape, "said": f"{name} {stream}"}
            made.upstream.will(*OUTCOMES[name](shape, SPEECH[speaks]))
            if outcome == "cached":
                await made.ask(**case)
            answer = await made.post(**case)
            read, record = await made.read(answer), made.record
            assert (answer.status, record.outcome, record.status, record.surface) == (200, outcome, 200, asked)
            assert (read.finish, read.told["outcome"], read.told["inference"]) == ("stop", outcome, record.id)
            assert header(answer, b"x-request-id") == record.id.encode()
            assert header(answer, b"x-roadworthy-workflow") == shape.encode()
            if outcome in TEXTS and shape == "schema_with_json":
                assert (msgspec.json.decode(read.content or ""), read.refusal) == ({"topic": outcome}, None)
            elif outcome in TEXTS:
                text = TEXTS[outcome]
                assert (read.content, read.refusal) == ((text, None) if shape == "plain" else (None, text))
            else:
                assert read.content == ('{"topic": "bill"}' if "schema" in shape else "Hello")
                assert read.tokens == ((10, 5) if read.tokens or asked != "chat" else None)
            if outcome == "escalated":
                assert read.told["escalation"]["poll_url"] == f"/v1/escalations/{record.id}"
            if outcome == "cached":
                assert (read.told["age_seconds"], record.cached_from) == (0, made.bench.records()[-2].id)
                assert header(answer, b"age") == b"0"

    stands.run(asked, speaks, at)


@PAIRED
@WAYS
def test_every_terminal_failure_is_one_error_that_no_client_retries(
    stands: Stands, stream: bool, asked: Format, speaks: Format
) -> None:
    async def at(made: Served) -> None:
        for failure, reply, status, code in TERMINAL:
            made.upstream.will(reply(SPEECH[speaks]) if callable(reply) else reply)
            made.bench.clock.an_hour()
            sent, records = len(made.sent), len(made.bench.records())
            answer = await made.post(stream=stream, model="bare")
            error, record = made.surface.error(answer.body), made.record
            assert (answer.status, error.code, record.status, record.code) == (status, code, status, code)
            assert (record.outcome, record.failure, record.surface) == ("error", failure, asked)
            assert error.told == {**error.told, "inference": record.id, "outcome": "error", "failure": failure}
            assert header(answer, b"x-should-retry") == b"false"
            assert header(answer, b"retry-after") == (b"7" if failure == "overlimit" else None)
            assert header(answer, b"x-roadworthy-outcome") == b"error"
            if asked == "messages":
                assert error.type == ANTHROPIC_TYPES.get(status, "api_error")
                assert msgspec.json.decode(answer.body)["request_id"] == record.id
            assert (len(made.sent), len(made.bench.records())) == (sent + 1, records + 1)

    stands.run(asked, speaks, at)


@PAIRED
@WAYS
def test_an_unsafe_answer_is_one_error_that_says_nothing_of_it(
    stands: Stands, stream: bool, asked: Format, speaks: Format
) -> None:
    async def at(made: Served) -> None:
        made.upstream.will(both(SPEECH[speaks], "We guarantee a refund."))
        sent = len(made.sent)
        answer = await made.post(stream=stream, model="strict")
        error, record = made.surface.error(answer.body), made.record
        assert (answer.status, error.code, header(answer, b"x-should-retry")) == (503, "unsafe", b"false")
        assert (record.outcome, record.failure, record.surface) == ("error", "unsafe", asked)
        assert b"guarantee" not in answer.body
        assert len(made.sent) == sent + 1

    stands.run(asked, speaks, at)


@PAIRED
@WAYS
def test_a_stream_that_breaks_after_its_first_words_ends_with_an_error(
    stands: Stands, stream: bool, asked: Format, speaks: Format
) -> None:
    """Whole answers that break are ``truncated`` too."""

    async def at(made: Served) -> None:
        begun = [*SPEECH[speaks].begun("Hel", "lo"), Disconnected("cut", "in_body")]
        made.upstream.will({"stream": begun, "whole": Disconnected("cut", "in_body")})
        with pytest.raises(Told) as told:
            await made.ask(stream=stream, model="bare")
        record = made.record
        assert (told.value.code, record.outcome, record.failure) == ("truncated", "error", "truncated")
        assert told.value.told["inference"] == record.id

    stands.run(asked, speaks, at)


@PAIRED
@WAYS
def test_limits_say_when_to_come_again_and_ask_nobody(
    stands: Stands, stream: bool, asked: Format, speaks: Format
) -> None:
    async def at(made: Served) -> None:
        made.upstream.will(good("plain", SPEECH[speaks]))
        await made.ask(token=HURRIED, stream=stream)
        sent = len(made.sent)
        for code, case in (("throttled", {"token": HURRIED}), ("overspent", {"model": "poor"})):
            answer = await made.post(stream=stream, **case)
            error, record = made.surface.error(answer.body), made.record
            assert (answer.status, error.code, error.type) == (429, code, "rate_limit_error")
            assert (record.outcome, record.failure, header(answer, b"x-should-retry")) == ("limited", code, b"false")
            assert code == "overspent" or int(header(answer, b"retry-after") or 0) >= 1
        assert len(made.sent) == sent

    stands.run(asked, speaks, at)


@PAIRED
@WAYS
def test_a_bypass_is_an_error_for_the_app_or_an_answer(
    stands: Stands, stream: bool, asked: Format, speaks: Format
) -> None:
    async def at(made: Served) -> None:
        sent = len(made.sent)
        answer = await made.post(stream=stream, model="old")
        assert (answer.status, made.surface.error(answer.body).code) == (503, "bypassed")
        assert header(answer, b"x-should-retry") == b"false"
        assert made.record.outcome == "bypassed"
        assert (await made.ask(stream=stream, model="told")).content == "Call us."
        assert (made.record.outcome, made.record.route) == ("bypassed", "bypass")
        assert (await made.ask(stream=stream, model="person")).content == TEXTS["escalated"]
        assert (made.record.outcome, made.record.route, made.record.failure) == ("escalated", "bypass", None)
        assert len(made.sent) == sent
        old = good("plain", SPEECH[asked])
        kind = b"text/event-stream" if stream else b"application/json"
        body = b"".join(old["stream"]) if stream else old["whole"]
        made.upstream.will((200, [(b"content-type", kind)], body))
        passed = await made.post(stream=stream, model="http")
        assert (passed.status, made.record.outcome, made.sent[-1].origin.host) == (200, "bypassed", "old.test")
        assert made.sent[-1].raw == msgspec.json.encode(
            made.surface.body(**({"stream": True} if stream else {}), model="http")
        )

    stands.run(asked, speaks, at)


@PAIRED
@WAYS
def test_a_minimal_key_reads_its_own_format_and_nothing_of_ours(
    stands: Stands, stream: bool, asked: Format, speaks: Format
) -> None:
    async def at(made: Served) -> None:
        made.upstream.will(good("plain", SPEECH[speaks]), (500, [], b"{}"))
        answered = await made.post(token=MINIMAL, stream=stream)
        assert (await made.read(answered)).told == {}
        refused = await made.post(token=MINIMAL, stream=stream, model="bare")
        with pytest.raises(Told) as told:
            await made.read(refused)
        assert told.value.told == {}
        for answer, record in zip((answered, refused), made.bench.records()[-2:], strict=True):
            names = {name for name, _ in answer.headers}
            assert not any(name.startswith(b"x-roadworthy") or name == b"traceparent" for name in names)
            assert header(answer, b"x-request-id") == record.id.encode()

    stands.run(asked, speaks, at)


def test_the_table_of_cases_knows_every_failure() -> None:
    known = {failure for failure, *_ in TERMINAL}
    assert known >= {"unavailable", "slow", "truncated", "invalid", "refused", "overlimit", "misconfigured"}
    assert known >= {"bad_request", "context_length"}
