"""Asks whom asking scorers need: judge and embedding workflows, users' functions, users' endpoints.

A judge is a workflow of this install.  It is called through the gateway that serves, as any client calls it, under an
eval permit for the very release that the scorer was made with, so its calls have limits, dollars, a log and a ladder
like all others.  Only an answer that its model wrote for this call is a judgement.  Functions run as checks do, in a
process without keys; endpoints are reached as outbound addresses are, resolved first and checked.

Whatever cannot be scored has no value and says why: never a silent 0.  An asker lives in one event loop.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, TypeVar

import msgspec

from roadworthy.evals.asking import CannotAsk, question
from roadworthy.evals.model import Example
from roadworthy.evals.rules import SAYS_NOTHING
from roadworthy.evals.scorers.base import Asking, CannotScore, Case, Embedded, Judge, Mark, Said, Unreached, told
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.evidence.ports import Signer
from roadworthy.fallback.drills import reading
from roadworthy.gateway.checks.results import CannotTell
from roadworthy.gateway.checks.user_checks import Launch, TeamChecks
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, Reply, head
from roadworthy.http1.origin import Origin
from roadworthy.workflow.check_options import python_hash
from roadworthy.workflow.inference import SERVED_BY_MODEL
from roadworthy.workflow.model import FrozenRelease

AT_ONCE: Final = 4
CHUNK: Final = 100
"""Calls of one permit."""
PERMIT_LIFE: Final = 3600.0
PATIENCE: Final = 5.0
"""Seconds beyond a judge's deadline after which it is given up."""
REACHING: Final = 5.0
"""Seconds that a gateway may take to have heard of a judge's release."""
MOST_ANSWER: Final = 16 * 1024 * 1024
MOST_VERDICT: Final = 64 * 1024
"""Bytes of an endpoint's answer."""

K = TypeVar("K")


class ScoringPorts(msgspec.Struct, frozen=True):
    """What wiring gives."""

    signer: Signer
    base_url: Callable[[], str]
    """Of the gateway, with its version path."""
    newest: Callable[[str], FrozenRelease | None]
    """A workflow's newest frozen release: gateways always hold it."""
    launch: Launch
    """Starts a process for users' functions."""
    secret: Callable[[str], str | None]
    clock: Callable[[], float]


class Scoring:
    """An ``Asker``: one a run, closed at its end."""

    def __init__(self, ports: ScoringPorts, *, by: str, usd: float) -> None:
        """``usd``: most that all of its questions may cost, as far as costs are known."""
        self._ports = ports
        self._by = by
        self._usd = usd
        self.spent = 0.0
        """US dollars, as far as they are known."""
        self._gateway = Client(guard=AddressGuard(allowed=[Origin.from_url(ports.base_url())]))
        self._public = Client(guard=AddressGuard())
        self._inside: set[Origin] = set()
        self._private = Client(guard=AddressGuard())
        self._judges: dict[Judge, _Called] = {}
        self._functions = _Functions(ports.launch)

    async def __aenter__(self) -> Scoring:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._functions.close()
        for client in (self._gateway, self._public, self._private):
            await client.close()

    async def mark(self, scorer: Asking, case: Case) -> Mark:
        """What the scorer says; what it cannot say has no value and says why."""
        try:
            return await scorer.ask(case, self)
        except CannotScore as cannot:
            return told(cannot)

    async def marks(
        self, jobs: Iterable[tuple[K, Asking, Case]], kept: Callable[[K, Mark], Awaitable[None]], at_once: int = AT_ONCE
    ) -> None:
        """Every job's mark, handed over as it comes, ``at_once`` under way."""
        waiting = iter(jobs)

        async def worker() -> None:
            for key, scorer, case in waiting:
                await kept(key, await self.mark(scorer, case))

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(worker())

    # --- what scorers call

    async def chat(self, judge: Judge, messages: Sequence[Mapping[str, Any]]) -> Said:
        called = self._called(judge, "chat")
        try:
            body = question(called.frozen.release, Example("scoring", [dict(each) for each in messages]))
        except CannotAsk as error:
            raise CannotScore(f"{judge.workflow} cannot be asked: {error}") from error
        reply = await self._asked(called, "/chat/completions", body)
        seen = reading.whole(reply.status, _headers(reply), reply.body, 0.0)
        usd = self._charged(reply.body)
        if seen.outcome not in SERVED_BY_MODEL:
            how = seen.outcome or f"status {reply.status}"
            why = f" ({seen.failure or seen.code})" if seen.failure or seen.code else ""
            kind = Unreached if seen.outcome is None or seen.failure in SAYS_NOTHING else CannotScore
            raise kind(f"the model of {judge.workflow} did not answer: {how}{why}", usd)
        return Said(seen.text, usd, seen.inference)

    async def embed(self, judge: Judge, texts: Sequence[str]) -> Embedded:
        called = self._called(judge, "embeddings")
        body = {"model": judge.workflow, "input": list(texts), "user": "eval-scoring"}
        reply = await self._asked(called, "/embeddings", body)
        usd = self._charged(reply.body)
        if not 200 <= reply.status < 300:
            raise CannotScore(f"{judge.workflow} answered with status {reply.status}", usd)
        return Embedded(_vectors(reply.body, len(texts), judge.workflow, usd), usd)

    async def post(self, url: str, body: Mapping[str, Any], *, key: str, private: bool, seconds: float) -> Any:
        origin = Origin.from_url(url)
        if private and origin not in self._inside:
            self._inside.add(origin)
            self._private.guard.allow(self._inside)
        headers = [(b"content-type", b"application/json")]
        if key:
            headers.append((b"authorization", b"Bearer " + self._secret(key)))
        asked = head(b"POST", _path(url).encode(), origin, headers)
        clocks = Clocks(min(5.0, seconds), seconds, seconds, seconds)
        client = self._private if private else self._public
        try:
            async with asyncio.timeout(seconds):
                reply = await client.fetch(origin, asked, _encoded(body), clocks, max_body=MOST_VERDICT)
        except TimeoutError:
            raise Unreached(f"{origin} did not answer in {seconds:g} s") from None
        except Http1Error as error:
            raise Unreached(f"{origin}: {type(error).__name__}: {error}") from error
        if not 200 <= reply.status < 300:
            raise CannotScore(f"{origin} answered with status {reply.status}")
        try:
            return msgspec.json.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise CannotScore(f"{origin} answered with what is not JSON") from None

    async def call(
        self, sources: Mapping[str, str], path: str, text: str, context: Mapping[str, Any], seconds: float
    ) -> Any:
        return await self._functions.run(sources, path, text, context, seconds)

    # --- inside

    def _called(self, judge: Judge, kind: str) -> _Called:
        """Raises ``Unreached``: the judge is another by now, or answers with something else."""
        known = self._judges.get(judge)
        if known is not None:
            return known
        frozen = self._ports.newest(judge.workflow)
        if frozen is None:
            raise Unreached(f"the workflow '{judge.workflow}' has no frozen release any more; freeze one")
        if frozen.release.behaviour_digest != judge.behaviour:
            raise Unreached(
                f"'{judge.workflow}' was frozen anew since, so another judge would answer; publish the set again"
            )
        if frozen.release.behaviour.kind != kind:
            raise Unreached(f"'{judge.workflow}' answers with {frozen.release.behaviour.kind}, not with {kind}")
        return self._judges.setdefault(judge, _Called(frozen))

    async def _asked(self, called: _Called, path: str, body: Mapping[str, Any]) -> Reply:
        """Raises ``CannotScore``."""
        base = self._ports.base_url()
        origin = Origin.from_url(base)
        limit = called.frozen.release.handling.deadline + PATIENCE
        clocks, encoded = Clocks(PATIENCE, limit, limit, limit), _encoded(body)
        until = time.monotonic() + REACHING
        while True:
            headers = [(b"authorization", b"Bearer " + self._permit(called)), (b"content-type", b"application/json")]
            asked = head(b"POST", f"{_path(base)}{path}".encode(), origin, headers)
            try:
                reply = await self._gateway.fetch(origin, asked, encoded, clocks, max_body=MOST_ANSWER)
            except Http1Error as error:
                raise Unreached(f"the gateway at {origin} did not answer: {type(error).__name__}") from error
            code = reading.whole(reply.status, _headers(reply), reply.body, 0.0).code
            if not code.startswith("permit_"):
                return reply
            if code in ("permit_used_up", "permit_expired"):
                called.left = 0
            if time.monotonic() > until:
                raise Unreached(f"the gateway refused to ask '{called.frozen.release.workflow}': {code}")
            await asyncio.sleep(0.05)

    def _permit(self, called: _Called) -> bytes:
        """A permit's token with a call left.  Raises ``CannotScore``: the dollars are spent."""
        now = self._ports.clock()
        if self.spent >= self._usd:
            raise Unreached(f"the {self._usd:g} dollars for scoring are spent")
        if called.left <= 0 or now >= called.until:
            called.left, called.until = CHUNK, now + PERMIT_LIFE - 60.0
            release = called.frozen.release
            permit = Permit(
                id=f"prm_{secrets.token_hex(8)}", workflow=release.workflow, digest=release.digest, traffic="eval",
                calls=CHUNK, usd=self._usd - self.spent, issued=now, expires=now + PERMIT_LIFE, by=self._by,
            )  # fmt: skip
            called.token = sealed(permit, self._ports.signer).encode()
        called.left -= 1
        return called.token

    def _charged(self, body: bytes) -> float | None:
        usd = cost_told(body)
        self.spent += usd or 0.0
        return usd

    def _secret(self, name: str) -> bytes:
        found = self._ports.secret(name)
        if not found:
            raise Unreached(f"the secret {name} is not set where control runs")
        if any(not 32 <= ord(letter) < 127 for letter in found):
            raise Unreached(f"the secret {name} holds characters that no header can carry")
        return found.encode()


class _Called:
    """A judge and the permit that its next call shows."""

    def __init__(self, frozen: FrozenRelease) -> None:
        self.frozen = frozen
        self.token = b""
        self.left = 0
        self.until = 0.0


class _Functions:
    """Users' functions, in one process: its turn is waited for outside of a call's time."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._known: dict[str, Mapping[str, str]] = {}
        self._checks: TeamChecks | None = None
        self._turn = asyncio.Lock()

    async def run(
        self, sources: Mapping[str, str], path: str, text: str, context: Mapping[str, Any], seconds: float
    ) -> Any:
        code = python_hash(sources)
        async with self._turn:
            if self._checks is None:
                self._checks = TeamChecks(self._launch, _Clock())
            if code not in self._known:
                self._known[code] = dict(sources)
                self._checks.follow(self._known)
                await self._checks.warmed()
            try:
                return await self._checks.run(code, path, text, context, seconds)
            except CannotTell as cannot:
                raise CannotScore(f"{path} {cannot.why}") from cannot

    def close(self) -> None:
        if self._checks is not None:
            self._checks.close()


class _Clock:
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(asyncio.sleep)


def cost_told(body: bytes) -> float | None:
    """US dollars that the gateway says an answer cost; ``None``: it does not know."""
    try:
        found: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    said = found.get("roadworthy") if isinstance(found, dict) else None
    usd = said.get("cost_usd") if isinstance(said, dict) else None
    return float(usd) if isinstance(usd, int | float) else None


def _vectors(body: bytes, count: int, workflow: str, usd: float | None) -> list[list[float]]:
    with suppress(msgspec.DecodeError, msgspec.ValidationError):
        data = _embeddings.decode(body).data
        if len(data) == count:
            return [each.embedding for each in sorted(data, key=lambda each: each.index)]
    raise CannotScore(f"{workflow} answered without {count} vectors", usd)


class _Vector(msgspec.Struct):
    embedding: list[float]
    index: int = 0


class _Vectors(msgspec.Struct):
    data: list[_Vector]


_embeddings = msgspec.json.Decoder(_Vectors)


def _headers(reply: Reply) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}


def _path(url: str) -> str:
    return "/" + url.split("://", 1)[-1].partition("/")[2].rstrip("/")


def _encoded(body: Mapping[str, Any]) -> bytes:
    """Lone surrogates, which JSON has no place for, become question marks."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return msgspec.json.encode(_without_surrogates(body))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_without_surrogates(key): _without_surrogates(inner) for key, inner in value.items()}
    return [_without_surrogates(inner) for inner in value] if isinstance(value, list | tuple) else value
