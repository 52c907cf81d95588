"""What the official OpenAI client makes of windowed, continued and broken streams, over a real connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from gateway_live import Live
from gateway_support import DONE, TOKEN, USAGE, chunk, release, target

from roadworthy.http1.errors import Disconnected
from roadworthy.workflow.model import Capabilities, CheckSpec, Handling

TEXT = "Your order was sent on Monday and should arrive within two days. " * 4
CUT = Disconnected("cut", "in_body")
START = chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
END = [chunk(finish="stop"), USAGE, DONE]
CHECKS = {"promises": CheckSpec("forbidden", "unsafe", options={"phrases": ["full refund"]})}


def pieces(text: str) -> list[bytes]:
    return [chunk(text[at : at + 5]) for at in range(0, len(text), 5)]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    handling = Handling(stream="windowed", window=50, checks=CHECKS, ladder={"unsafe": []}, continuation=1)
    able = Capabilities(prefill="native")
    with Live(
        tmp_path_factory.mktemp("journal"),
        served=release(handling=handling),
        snapshot={"targets": {"main": target("main", capabilities=able)}},
    ) as made:
        made.upstream.cases = {
            "clean": [[START, *pieces(TEXT), *END]],
            "continued": [[START, *pieces(TEXT[:99]), CUT], [START, *pieces(TEXT[99:]), *END]],
            "unsafe": [[START, *pieces(TEXT + "You get a full refund, of course, and a present."), *END]],
            "broken": [[START, *pieces(TEXT[:99]), CUT], [*pieces(TEXT[99:130]), CUT]],
        }
        yield made


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{live.port}/v1", api_key=TOKEN, max_retries=0) as made:
        yield made


def asked(case: str) -> dict[str, Any]:
    return {"model": "support", "messages": [{"role": "user", "content": case}]}


@pytest.mark.parametrize("case", ["clean", "continued"])
@pytest.mark.parametrize("usage", [False, True])
def test_a_whole_stream_is_whole_for_the_helper_and_for_the_plain_iterator(
    client: openai.OpenAI, live: Live, case: str, usage: bool
) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if usage else {}
    script = live.upstream.cases[case]
    live.upstream.cases[case] = list(script)
    with client.chat.completions.stream(**asked(case), **options) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == TEXT
    assert final.choices[0].message.role == "assistant"
    assert final.choices[0].finish_reason == "stop"
    assert (final.usage is not None) == usage
    live.upstream.cases[case] = list(script)
    chunks = list(client.chat.completions.create(**asked(case), **options, stream=True))
    live.upstream.cases[case] = script
    assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == TEXT
    assert len({one.id for one in chunks}) == 1
    told = (chunks[-1].model_extra or {})["roadworthy"]
    assert told["outcome"] == ("answered" if case == "clean" else "recovered")
    assert ("seams" in told) == (case == "continued")


@pytest.mark.parametrize(("case", "code"), [("unsafe", "unsafe"), ("broken", "truncated")])
def test_a_stream_that_ends_badly_raises_with_its_code_after_clean_text(
    client: openai.OpenAI, live: Live, case: str, code: str
) -> None:
    script = live.upstream.cases[case]
    live.upstream.cases[case] = list(script)
    read: list[Any] = []
    with pytest.raises(openai.APIError) as caught:
        read.extend(client.chat.completions.create(**asked(case), stream=True))
    assert caught.value.code == code
    assert not any(one.choices[0].finish_reason for one in read)
    text = "".join(one.choices[0].delta.content or "" for one in read)
    assert len(text) > 40
    assert (TEXT + "You get a ").startswith(text)
    live.upstream.cases[case] = list(script)
    with pytest.raises(openai.APIError), client.chat.completions.stream(**asked(case)) as stream:
        stream.until_done()
    live.upstream.cases[case] = script
