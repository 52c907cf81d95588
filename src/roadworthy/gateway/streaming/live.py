"""A stream of a target under way: what of it may leave, and what has been learnt from it.

The chunk that finishes the last choice and everything after it are held back, so no client sees a ``finish_reason`` of
an answer that broke.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec

from roadworthy.formats.model import Format, Teller
from roadworthy.gateway.attempt import MAX_ANSWER, note_model, spoken_to
from roadworthy.gateway.call import Call
from roadworthy.gateway.checks.checking import note
from roadworthy.gateway.limits import pricing
from roadworthy.gateway.ports import Answer, Chunk, EventReader, StreamReply, Unusable
from roadworthy.gateway.streaming.assemble import assemble
from roadworthy.gateway.streaming.seam import Seam, Unjoinable
from roadworthy.gateway.streaming.sse import without_usage
from roadworthy.gateway.streaming.window import MOST_KEPT_BYTES, Found, Window, texts_of
from roadworthy.gateway.verdict import judge_end
from roadworthy.gateway.world import ServedTarget
from roadworthy.workflow.inference import Attempt, Check, Tokens

CONTINUED = "continued"
"""Note of an answer whose stream broke and was continued."""


UNTELLABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a chunk may do to those who decode more of it than its reader did: a number out of range, nesting."""

CLOSING = 0.1
"""Seconds that a body may go on after the terminal marker: its end may come in a packet of its own, and a connection
that is read to the end can be kept."""


class LiveStream:
    """One attempt's stream.  ``window`` holds a windowed one back; ``None``: what comes leaves at once."""

    __slots__ = (
        "_closing", "_counted", "_now", "_quiet_at", "_quiet_since", "_verdict", "attempt", "broke", "call", "data",
        "empty", "ended", "ends", "format", "garbled", "held", "iterator", "kept_bytes", "late", "reader", "ready",
        "reasons", "refused", "released", "reply", "target", "teller", "texts", "tokens", "window",
    )  # fmt: skip

    def __init__(
        self,
        call: Call,
        target: ServedTarget,
        attempt: Attempt,
        reply: StreamReply,
        window: Window | None,
        now: Callable[[], float],
    ) -> None:
        """``now``: monotonic seconds."""
        self.call = call
        self.target = target
        self.attempt = attempt
        self.reply = reply
        self.iterator: AsyncIterator[bytes] = aiter(reply.chunks)
        operation = spoken_to(call, target, stream=True)
        self.format: Format = call.surface.format if operation != call.operation else "chat"
        """In which its events come."""
        self.reader: EventReader = target.wire.events(operation)
        self.teller: Teller = call.surface.teller(call, self.format)
        self.window = window
        self.ready: list[bytes] = []
        """Events that may leave."""
        self.held: list[bytes] = []
        """Data of the events that leave only with the end."""
        self.data: list[bytes] = []
        """Data of every event, for the record."""
        self.kept_bytes = 0
        self.ends: dict[int, str] = {}
        self.texts = 0
        """Events with text, shown or thought: about as many tokens."""
        self.empty = True
        self.reasons = False
        """It has begun to reason aloud."""
        self.refused = False
        self.tokens: Tokens | None = None
        """Usage as reported so far."""
        self._counted = 0
        """Events with text that the reported output covers."""
        self.garbled = False
        """Its events cannot be read any further; of the answer only the rest is missing."""
        self.late = False
        """The first-token clock ran out."""
        self.ended = False
        """Its body has ended cleanly and was judged."""
        self.broke: Unusable | None = None
        """It has broken already, behind text that may leave."""
        self.released = False
        """Its slot is given back."""
        self._closing: asyncio.TimerHandle | None = None
        self._now = now
        self._quiet_since = 0.0
        self._quiet_at = -1
        self._verdict: Unusable | None = None

    def expire(self) -> None:
        self.late = True
        self.reply.abort()

    def take(self, data: bytes) -> None:
        """Read bytes of the upstream.  Raises ``Unusable``."""
        try:
            chunks = self.reader.feed(data)
        except Unusable as unreadable:
            self._garbled(unreadable)
            raise
        try:
            for chunk in chunks:
                self._take(chunk)
        except UNTELLABLE as error:  # the reader took it for good, whoever tells or searches it cannot
            untold = Unusable("invalid", f"the provider sent a stream event that cannot be told ({error})")
            self._garbled(untold)
            raise untold from error
        failed_inside = self.reader.failed
        if failed_inside is not None:
            self._garbled(failed_inside)
            raise failed_inside
        if self.reader.done and not self.reply.ended:
            self._close_soon()
        elif not chunks and (self.reasons or not self.empty):
            self._wait_on()

    def _garbled(self, unusable: Unusable) -> None:
        """Its events cannot be read any further: what came before is good, an end that something followed was none."""
        if unusable.failure == "invalid":
            self.garbled = True
            self.ends.clear()

    def _close_soon(self) -> None:
        """After the terminal marker nothing counts: a provider that leaves its body open keeps nobody waiting."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(CLOSING, self.reply.abort)

    def over(self) -> None:
        """Nothing more is read of it: its connection is closed, unless it can be kept.  Idempotent."""
        if self._closing is not None:
            self._closing.cancel()
        self.reply.abort()

    def _wait_on(self) -> None:
        """Bytes without an event: a comment or a ping keeps the connection alive, not the answer."""
        now = self._now()
        if self._quiet_at != self.kept_bytes:
            self._quiet_at, self._quiet_since = self.kept_bytes, now
            return
        assert self.call.serving is not None
        idle = self.call.serving.handling.clocks.idle
        if now - self._quiet_since >= idle:
            raise Unusable("slow", f"nothing but signs of life for {idle:g} s")

    def _take(self, chunk: Chunk) -> None:
        data = chunk.data
        self.kept_bytes += len(data)
        if self.kept_bytes <= MOST_KEPT_BYTES:
            self.data.append(data)
        if chunk.text:
            self.texts += 1
            self.empty = False
            if chunk.plain and self.window is None and not self.held:  # nearly every chunk of a long answer
                chat = self.call.surface.format == "chat"
                self.ready.append(b"data: %b\n\n" % data if chat else self.teller.chunk(data))
                if self.attempt.model_answered is None and chunk.model is not None:
                    note_model(self.attempt, chunk.model)
                return
        elif chunk.reasons:
            self.texts += 1
            self.reasons = True
        if chunk.refused:
            self.refused = True
        if chunk.tokens is not None:
            self._count(chunk, chunk.tokens)
        if chunk.model and chunk.model != self.attempt.model_answered:
            note_model(self.attempt, chunk.model)
        for index, reason in chunk.finishes:
            self.ends[index] = reason
        if chunk.usage and not self.call.usage_asked:
            if chunk.usage_only:
                return
            data = without_usage(data)
        if self.held or chunk.ends or len(self.ends) >= self.call.n:
            if self.kept_bytes > MAX_ANSWER:
                raise Unusable("invalid", f"the provider went on for {MAX_ANSWER} bytes after its last choice ended")
            self.held.append(data)
            if self.window is not None and (chunk.text or chunk.reasons):
                self.window.keep(data)
        elif self.window is None:
            self.ready.append(self.teller.chunk(data))
        else:
            self._through(self.window, data)

    def _count(self, chunk: Chunk, tokens: Tokens) -> None:
        """Some report as they go: Anthropic the input with the first event, Gemini at first no output at all."""
        self.tokens = tokens
        if tokens.output or chunk.finishes or self.ends:
            self._counted = self.texts

    def _through(self, window: Window, data: bytes) -> None:
        if self.kept_bytes > MAX_ANSWER:
            raise Unusable("invalid", f"an answer of more than {MAX_ANSWER} bytes cannot be checked while it comes")
        found = window.push(data)
        self.ready += map(self.teller.chunk, window.leaving())
        if found is not None:
            raise self._withheld(found)

    def _withheld(self, found: Found) -> Unusable:
        """What a finding makes of the answer; its check is recorded, its text kept for a human."""
        check, finding, call = found.check, found.finding, self.call
        note(
            call,
            Check(
                check.name, False, finding.detail[:300], failure=check.failure, score=finding.score,
                span=(found.begin, found.end),
            )
        )  # fmt: skip
        call.draft = self.text()
        return Unusable(check.failure, f"check {check.name}: {finding.detail}")

    def passed_on(self) -> bytes:
        """Events that may leave now, as bytes; they are forgotten here."""
        made = b"".join(self.ready)
        self.ready.clear()
        return made

    @property
    def begun(self) -> bool:
        """Something of the answer may leave."""
        return not self.empty and (self.window is None or self.window.begun)

    def end(self) -> Unusable | None:
        """Its body has ended cleanly: what is wrong with the whole of it.  The rest of a window leaves.  Idempotent."""
        if not self.ended:
            self.ended = True
            self._verdict = judge_end(self.ends.values(), self.call.n, empty=self.empty, refused=self.refused)
            if self.window is not None and self._verdict is None:
                found = self.window.finish()
                self.ready += map(self.teller.chunk, self.window.leaving())
                self._verdict = None if found is None else self._withheld(found)
        return self._verdict

    def settle(self) -> None:
        """Charge what the provider reported, and an estimate of what it sent beside."""
        attempt = self.attempt
        if self.ends:
            reasons = self.ends.values()
            attempt.finish = "length" if "length" in reasons else next(iter(reasons))
        if attempt.provider_request_id is None:
            attempt.provider_request_id = self.reader.request_id
        written = self.texts * pricing.BYTES_PER_CHUNK
        price, body_bytes, told = self.target.price_of(attempt), len(self.call.request.body), self.tokens
        if told is None and self._refused_at_once:
            pricing.charge_nothing(attempt)
        elif told is None or not pricing.credible(self.call, attempt, told, written):
            pricing.charge_estimate(attempt, body_bytes, self.texts, price)
        elif self._counted == self.texts and (self.ends or self.reader.done):
            pricing.charge(attempt, told, price)
        else:
            pricing.charge_estimate(attempt, body_bytes, self.texts - self._counted, price, told)

    @property
    def _refused_at_once(self) -> bool:
        """Its provider reported an error and nothing else: what other calls are told by a status."""
        failed = self.reader.failed
        return failed is not None and failed.failure != "invalid" and self.texts == 0

    def whole(self) -> bytes | None:
        """All of the answer that has come, in chat's shape, or ``None`` when it was too long to keep."""
        if self.kept_bytes > MOST_KEPT_BYTES:
            return None
        surface = self.call.surface
        return surface.chat_answer(surface.assembled(self.data, self.format), self.format)

    def told(self, *, left: bool = False) -> bytes | None:
        """All of the answer as its caller reads it; ``left``: what has left of it, which is less only where a window
        holds back."""
        if self.kept_bytes > MOST_KEPT_BYTES:
            return None
        data = self.window.left if left and self.window is not None else self.data
        surface = self.call.surface
        return surface.own_answer(self.call, surface.assembled(data, self.format), self.format)

    def left(self) -> bytes | None:
        """What has left of an answer that ends badly; ``None`` also where it cannot be put together."""
        try:
            return self.told(left=True)
        except (Unusable, *UNTELLABLE):
            return None

    def answer(self, body: bytes) -> Answer:
        """The whole answer as the checks of whole answers take it."""
        return Answer(
            body, self.tokens, self.attempt.model_answered, self.attempt.provider_request_id,
            tuple(self.ends.values()), self.empty, self.refused,
        )  # fmt: skip

    def text(self) -> str | None:
        """Content of its only choice so far; ``None`` where there is none, or something beside text."""
        body = self.whole()
        if body is None:
            return None
        choices = msgspec.json.decode(body)["choices"]
        if len(choices) != 1 or any(choices[0]["message"].get(name) for name in _BESIDE_TEXT):
            return None
        content = choices[0]["message"].get("content")
        return content if isinstance(content, str) and content else None


_BESIDE_TEXT = ("tool_calls", "function_call", "refusal", "audio")


class ContinuedStream(LiveStream):
    """The stream of an attempt that goes on with a broken one: its text leaves behind the seam, in our own chunks.

    They keep the id of the first stream, for clients take them for one answer; what the model thinks on the way is not
    told twice, and the usage that the caller reads is the sum.
    """

    __slots__ = ("_adds", "_begin", "_seam", "_told", "seam_at")

    def __init__(
        self,
        before: LiveStream,
        target: ServedTarget,
        attempt: Attempt,
        reply: StreamReply,
        seam: Seam,
        said: str,
        now: Callable[[], float],
    ) -> None:
        super().__init__(before.call, target, attempt, reply, before.window, now)
        self.teller = before.teller
        self.data = before.data
        self.kept_bytes = before.kept_bytes
        self._seam = seam
        self._adds = False
        self._told = not before.call.key.key.body_object
        first = msgspec.json.decode(assemble(before.data))
        self._begin = {"id": first["id"], "object": "chat.completion.chunk", "created": first["created"]}
        self.seam_at = len(said)
        """Characters of the answer that came before the break."""

    def _take(self, chunk: Chunk) -> None:
        if chunk.refused:
            raise Unusable("refused", "the model refused to go on")
        if chunk.model and chunk.model != self.attempt.model_answered:  # some tell it in a chunk that says nothing
            note_model(self.attempt, chunk.model)
        self.texts += chunk.text or chunk.reasons
        try:
            new = "".join(text for (index, name), text in texts_of(chunk.data) if index == 0 and name == "content")
            new = self._seam.feed(new) if new else ""
            if chunk.finishes:
                new += self._seam.end()
        except Unjoinable as error:
            raise Unusable("invalid", f"the continuation cannot be joined: {error}") from None
        self._adds = self._adds or bool(new.strip())
        if new and self._adds:
            self._make({"content": new}, chunk, text=True)
        if chunk.finishes:
            if not self._adds:  # as of a server that takes the begun answer for a finished one
                raise Unusable("invalid", "the continuation adds nothing, so nobody knows whether the answer was whole")
            self._make({}, chunk, finish=chunk.finishes[0][1])
        elif chunk.reasons:
            self.reasons = True
        if chunk.tokens is not None:
            self._count(chunk, chunk.tokens)

    def _make(self, delta: dict[str, str], chunk: Chunk, *, text: bool = False, finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        made = {**self._begin, "model": self.attempt.model_answered or self.attempt.model_asked, "choices": [choice]}
        if not self._told:
            self._told = True
            made["roadworthy"] = {"note": CONTINUED, "seam": self.seam_at}
        finishes = ((0, finish),) if finish else ()
        super()._take(Chunk(msgspec.json.encode(made), text, finishes=finishes, model=chunk.model))
        self.texts -= text  # counted when it came, with what was left out at the seam
