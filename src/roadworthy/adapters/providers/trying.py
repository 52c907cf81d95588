"""One call of a target, for whoever wants to know whether it works: by the same wires that serve."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from roadworthy.adapters.outbound import Outbound, OutboundFailed
from roadworthy.adapters.providers.registry import wire_for
from roadworthy.gateway.ports import ANY_MODEL, Fields, Unusable
from roadworthy.operations.targets import Tried
from roadworthy.workflow.files import DEFAULT_ENDPOINTS
from roadworthy.workflow.model import Target

ASKED = "Answer with the one word: ready"
LONGEST_SHOWN = 120


class ProviderCaller:
    """``operations.targets.Caller``."""

    def __init__(
        self,
        *,
        url_of: Callable[[Target], str | None],
        secret: Callable[[str], str | None],
        outbound: Callable[[], Outbound],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """``url_of``: where a target is reached now; ``None``: a launched one that is not up."""
        self._url_of = url_of
        self._secret = secret
        self._outbound = outbound
        self._timer = timer

    def call(self, target: Target, most_tokens: int) -> Tried:
        began = self._timer()

        def failed(why: str) -> Tried:
            return Tried(target.name, False, self._timer() - began, why[:300])

        url = self._url_of(target) or target.endpoint or DEFAULT_ENDPOINTS.get(target.provider)
        if url is None:
            return failed("its process is not up; see run/*.log in the data folder")
        secret = None if target.key is None else self._secret(target.key)
        if target.key is not None and secret is None:
            return failed(f"{target.key} is not set where `roadworthy up` runs")
        if target.model == ANY_MODEL:
            return failed("it passes on whatever model an app asks for, so there is none to try")
        try:
            return asyncio.run(self._call(target, url, secret, most_tokens, began))
        except Unusable as error:
            return failed(f"{error.failure}: {error.detail}")
        except OutboundFailed as error:
            return failed(str(error))

    async def _call(self, target: Target, url: str, secret: str | None, most_tokens: int, began: float) -> Tried:
        parts = urlsplit(url)
        wire = wire_for(target, parts.path.rstrip("/").encode(), secret)
        asked = {
            "model": target.model,
            "messages": [{"role": "user", "content": ASKED}],
            "max_tokens": most_tokens,
        }
        fields: Fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in asked.items()}
        made = wire.encode("chat", fields, stream=False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in made.headers}
        http = self._outbound()
        near = target.allow_private or target.provider in ("local", "simulated")
        try:
            reply = await http.call(
                "POST", f"{parts.scheme}://{parts.netloc}{made.path.decode()}", headers, made.body, allow_private=near
            )
        finally:
            await http.close()
        if not 200 <= reply.status < 300:
            raise wire.refusal(reply.status, reply.headers, reply.body)
        answer = wire.answer("chat", reply.headers, reply.body)
        return Tried(
            target.name, True, self._timer() - began, _text(answer.body), model=answer.model, tokens=answer.tokens
        )


def _text(body: bytes) -> str:
    """What was said, of an answer in OpenAI's shape."""
    try:
        content = msgspec.json.decode(body)["choices"][0]["message"].get("content")
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, AttributeError):
        return ""
    return str(content or "")[:LONGEST_SHOWN]
