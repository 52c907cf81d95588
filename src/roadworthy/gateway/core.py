"""The gateway's core: one request in, one answer or stream out, and nothing of sockets in between.

``Gateway`` is the table of what is served; ``serve.py`` follows one inference through the steps of design §3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import unquote

import msgspec

from roadworthy.cost.lending import EVERYTHING, Parts
from roadworthy.evidence.permit.model import LOCAL
from roadworthy.gateway import models
from roadworthy.gateway.admission.authenticate import KeyedHash, PermitShown, authenticate
from roadworthy.gateway.admission.idempotency import Standing
from roadworthy.gateway.admission.peers import Peers
from roadworthy.gateway.admission.permits import Lane, LaneFinisher, PermitPorts, Permits
from roadworthy.gateway.admission.repeat import Repeats
from roadworthy.gateway.admission.resolve import workflow_for
from roadworthy.gateway.answers.cache import AnswerCache
from roadworthy.gateway.answers.escalations import PATH as ESCALATIONS
from roadworthy.gateway.answers.escalations import Control, Escalations
from roadworthy.gateway.checks.user_checks import UserChecks
from roadworthy.gateway.counters import Counters, CountersReport, TargetCount
from roadworthy.gateway.counting import TokenCounter
from roadworthy.gateway.errors import Refused, error_body, error_headers
from roadworthy.gateway.feedback import PATH as FEEDBACK
from roadworthy.gateway.feedback import Raters
from roadworthy.gateway.finish import JSON, Finisher
from roadworthy.gateway.flags import PATH as FLAGS
from roadworthy.gateway.flags import evaluate, evaluate_all
from roadworthy.gateway.journal import Journal
from roadworthy.gateway.limits.ledger import Ledger
from roadworthy.gateway.limits.purses import Purses, read_orders
from roadworthy.gateway.limits.slots import Slots
from roadworthy.gateway.messages import Request, Response, StreamResponse
from roadworthy.gateway.ports import Clock, Ids, Upstream
from roadworthy.gateway.serve import Server
from roadworthy.gateway.stopping.board import Board
from roadworthy.gateway.stopping.model import PATH as KILL
from roadworthy.gateway.stopping.model import KillNews
from roadworthy.gateway.surfaces.chat import CHAT
from roadworthy.gateway.surfaces.model import Surface, ids_of
from roadworthy.gateway.surfaces.table import COUNT, SURFACES, is_anthropic, surface_of
from roadworthy.gateway.world import ServedKey, World
from roadworthy.kill_switch.model import State
from roadworthy.workflow.inference import new_request_id

Answered = Response | StreamResponse
Handler = Callable[[Request], Awaitable[Answered]]

_SERVED = (
    "POST /v1/chat/completions, POST /v1/responses, POST /v1/messages, POST /v1/messages/count_tokens, "
    "POST /v1/embeddings, POST /v1/roadworthy/feedback, GET /v1/models, GET /v1/escalations/ID, GET /readyz"
)
STATELESS = "Responses are not stored here: send the whole conversation in 'input' each time."
_CACHE_ROUTES = ("/internal/cache/purge", "/internal/cache/count")
LANE_RECORDS = 256
"""Budgets of a lane: one workflow's, for the few users that a permit's calls name."""
_encode = msgspec.json.encode


class _Unit(msgspec.Struct):
    unit: str


_unit = msgspec.json.Decoder(_Unit)
_news = msgspec.json.Decoder(KillNews)


class Gateway:
    """One worker's core.  ``world`` is replaced whole when a new snapshot is loaded."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        journal: Journal,
        clock: Clock,
        ids: Ids,
        hmac_key: bytes,
        worker: int = 0,
        workers: int = 1,
        first: int = 0,
        name: str = LOCAL,
        parts: Parts = EVERYTHING,
        peers: Peers | None = None,
        control: Control | None = None,
        ledger: Ledger | None = None,
        permits: PermitPorts | None = None,
        user_checks: UserChecks | None = None,
        board: Board | None = None,
    ) -> None:
        self.world: World | None = None
        self.slots: dict[str, Slots] = {}
        self.counters = Counters()
        self.name = name
        self.worker = f"w{first + worker}"
        self.board = board or Board(clock.now, clock.monotonic, worker=self.worker, gateway=name)
        self.workers = workers
        self.purses = Purses(
            clock, self.slots, worker=worker, workers=workers, number=first + worker, parts=parts, ledger=ledger
        )
        self._journal = journal
        self._clock = clock
        self._ids = ids
        self._keyed = KeyedHash(hmac_key)
        self._started_at = clock.now()
        self.cache = AnswerCache()
        finisher = Finisher(journal, self.counters, self.purses, self.cache, clock, self.worker)
        self._finisher = finisher
        self.escalations = Escalations(journal, clock, control)
        self.user_checks = user_checks
        self._server = Server(
            upstream,
            finisher,
            journal,
            self.counters,
            self.purses,
            clock,
            ids,
            self.cache,
            self.escalations,
            self.board,
            user_checks,
        )
        self._counter = TokenCounter(self._server.caller, clock, ids)
        self._raters = Raters(journal, clock)
        self._repeats = Repeats(self.counters, clock, worker, workers, peers)
        self._permits = Permits(
            permits, self._lane_server, clock, worker=worker, workers=workers, peers=peers, gateway=name
        )
        self._routes: dict[str, dict[str, Handler]] = {
            **{path: {"POST": partial(self._inference, surface)} for path, surface in SURFACES.items()},
            COUNT: {"POST": self._count},
            "/v1/models": {"GET": self._models},
            FEEDBACK: {"POST": self._rate},
            FLAGS: {"POST": self._flags},
            "/healthz": {"GET": self._healthz, "HEAD": self._healthz},
            "/readyz": {"GET": self._readyz, "HEAD": self._readyz},
        }

    async def handle(self, request: Request) -> Answered:
        """Answer one request.  Cancelled when the client leaves before the answer: the inference is then recorded
        as ``abandoned`` and the cancellation goes on."""
        methods = self._routes.get(request.path)
        try:
            if methods is None:
                return self._with_id(request, await self._other(request))
            handler = methods.get(request.method)
            if handler is None:
                raise _method_not_allowed(request, methods)
            if request.path in SURFACES:  # an inference, whose id its answer has
                return await handler(request)
            return self._with_id(request, await handler(request))
        except Refused as refused:
            return self._unrecorded(refused, surface_of(request))
        except PermitShown:
            no_call = Refused(403, "permit_not_allowed", "A permit is good for inferences only.")
            return self._unrecorded(no_call, surface_of(request))

    def cut(self) -> None:
        """We are stopping and their grace is over: calls that end without an answer from now on were cut by us."""
        self._finisher.cutting = True
        self._permits.cut()

    def refuse(self, status: int, code: str, message: str) -> Response:
        """The answer to bytes that never became a request."""
        answer = self._unrecorded(Refused(status, code, message), CHAT)
        answer.headers += [(b"request-id", value) for name, value in answer.headers if name == b"x-request-id"]
        return answer  # under both names, for whose client it was is not known

    def _unrecorded(self, refused: Refused, surface: Surface) -> Response:
        self.counters.refused(refused.code)
        ident = self._request_id()
        headers = error_headers(refused) + ids_of(surface, ident.encode())
        return Response(refused.status, headers, surface.error(refused, None, ident))

    def _with_id(self, request: Request, answer: Answered) -> Answered:
        """An answer that is no inference's, with an id to quote all the same."""
        answer.headers = answer.headers + ids_of(surface_of(request), self._request_id().encode())
        return answer

    def _request_id(self) -> str:
        return new_request_id(self._clock.now(), self._ids.bits(80))

    def _inference(self, surface: Surface, request: Request) -> Awaitable[Answered]:
        try:
            headers, world, key = self._authenticated(request)
        except PermitShown as shown:
            return self._permits.serve(request, dict(request.headers), shown.token, surface, self._loaded())
        repeat = headers.get(b"idempotency-key")
        if repeat is None:
            return self._server.serve(request, headers, key, surface, world)
        return self._repeats.serve(
            request,
            (key.key.id, repeat),
            lambda: self._server.serve(request, headers, key, surface, world),
            lambda model, unit: self._standing(key, model, unit),
        )

    async def _count(self, request: Request) -> Response:
        headers, world, key = self._authenticated(request)
        return await self._counter.count(request, headers, key, world)

    def _standing(self, key: ServedKey, model: str, unit: str | None) -> Standing:
        """Who would answer a call now."""
        world = self._loaded()
        try:
            serving = workflow_for(model, key, world)
        except Refused:
            return None
        router = world.routers.get(serving.name)
        if router is None:
            return None
        return router.standing(unit, key.traffic, self._clock.now(), self.board.state_of(serving))

    def _authenticated(self, request: Request) -> tuple[dict[bytes, bytes], World, ServedKey]:
        world = self._loaded()
        headers = dict(request.headers)
        return headers, world, authenticate(headers, world, self._keyed, self._clock.now())

    def _lane_server(self, lane: Lane, upstream: Upstream) -> tuple[Server, Purses]:
        """What serves one permit's calls: the journal, counters and escalations are everybody's, the rest its own."""
        purses = Purses(self._clock, lane.slots, ledger=Ledger(records=LANE_RECORDS))
        cache = AnswerCache()
        finisher = LaneFinisher(lane, self._journal, self.counters, purses, cache, self._clock, self.worker)
        server = Server(
            upstream, finisher, self._journal, self.counters, purses, self._clock, self._ids, cache, self.escalations,
            self.board, self.user_checks,
        )  # fmt: skip
        return server, purses

    def _loaded(self) -> World:
        if self.world is None:
            raise Refused(
                503, "unavailable", "No snapshot is loaded yet: run 'roadworthy apply' and look at 'roadworthy status'."
            )
        return self.world

    async def _models(self, request: Request) -> Response:
        _, world, key = self._authenticated(request)
        return Response(200, JSON, models.listed(world, key.names, anthropic=is_anthropic(request)))

    async def _model(self, request: Request, name: str) -> Response:
        _, world, key = self._authenticated(request)
        if name not in key.names:
            names = ", ".join(key.names) or "none"
            raise Refused(404, "model_not_found", f"There is no workflow '{name[:100]}'. This key may call: {names}.")
        return Response(200, JSON, models.one(world, name, anthropic=is_anthropic(request)))

    async def _escalation(self, request: Request, rest: str) -> Response:
        ident, slash, last = rest.partition("/")
        if slash and last == "answer":
            if request.method != "POST":
                raise _method_not_allowed(request, {"POST": self._healthz})
            return await self.escalations.relay(request, ident)
        if slash:
            raise Refused(404, "not_found", f"There is nothing at {request.path[:200]}. Served: {_SERVED}.")
        if request.method != "GET":
            raise _method_not_allowed(request, {"GET": self._healthz})
        _, _, key = self._authenticated(request)
        return await self.escalations.poll(key, ident)

    async def _rate(self, request: Request) -> Response:
        _, world, key = self._authenticated(request)
        return self._raters.take(request, key, world)

    async def _flags(self, request: Request) -> Response:
        _, world, key = self._authenticated(request)
        return evaluate_all(request, key, world, self.board, self._clock.now())

    async def _flag(self, request: Request, name: str) -> Response:
        if request.method != "POST":
            raise _method_not_allowed(request, {"POST": self._flags})
        _, world, key = self._authenticated(request)
        return evaluate(request, key, world, self.board, name, self._clock.now())

    async def _healthz(self, request: Request) -> Response:
        return Response(200, JSON, b'{"status":"ok"}')

    async def _readyz(self, request: Request) -> Response:
        try:
            world = self._loaded()
        except Refused as refused:  # the answer to a probe, not a refused call: it is not counted
            return Response(refused.status, error_headers(refused), error_body(refused))
        ready = {"status": "ready", "worker": self.worker, "snapshot": world.snapshot.seq}
        return Response(200, JSON, _encode(ready))

    async def _other(self, request: Request) -> Response:
        path = request.path
        if request.internal and path == "/internal/counters":
            return Response(200, JSON, _encode(self.report()))
        if request.internal and path == "/internal/slices" and request.method == "POST":
            return Response(200, JSON, _encode(self.purses.exchange(read_orders(request.body))))
        if request.internal and path in _CACHE_ROUTES and request.method == "POST":
            unit = _unit.decode(request.body).unit
            if path == "/internal/cache/purge":
                found = self.cache.purge(unit, self._clock.monotonic()) + self._repeats.purge(unit)
            else:
                found = self.cache.count(unit) + self._repeats.count(unit)
            return Response(200, JSON, b'{"answers":%d}' % found)
        if request.internal and path == KILL and request.method == "POST":
            return Response(200, JSON, _encode(self.board.hear(_news.decode(request.body))))
        if request.internal and path == "/internal/rotate" and request.method == "POST":
            self._journal.rotate()
            return Response(200, JSON, b"{}")
        if request.internal and path == "/internal/escalations" and request.method == "POST":
            return Response(200, JSON, b'{"told":%d}' % self.escalations.learn(request.body))
        if path.startswith(ESCALATIONS):
            return await self._escalation(request, path[len(ESCALATIONS) :])
        if path.startswith(FLAGS + "/"):
            return await self._flag(request, unquote(path[len(FLAGS) + 1 :]))
        if path.startswith("/v1/models/"):
            if request.method != "GET":
                raise _method_not_allowed(request, {"GET": self._models})
            return await self._model(request, path[len("/v1/models/") :])
        if path.startswith("/v1/responses/"):
            raise Refused(404, "route_not_served", STATELESS)
        if path.startswith("/v1/"):
            raise Refused(404, "route_not_served", f"{path[:200]} is not served yet. Served: {_SERVED}.")
        raise Refused(404, "not_found", f"There is nothing at {path[:200]}. Served: {_SERVED}.")

    def _stopped(self) -> dict[str, State]:
        if self.world is None or not self.board.any:
            return {}
        states = {name: self.board.state_of(serving) for name, serving in self.world.workflows.items()}
        return {name: state for name, state in states.items() if state != "on"}

    def report(self) -> CountersReport:
        """What this worker has counted."""
        snapshot = self.world.snapshot if self.world is not None else None
        report = self.counters.report(
            worker=self.worker,
            started_at=self._started_at,
            journal=self._journal.counts,
            slots={name: slots.taken for name, slots in self.slots.items()},
            repeats_in_progress=self._repeats.in_progress,
            seq=snapshot.seq if snapshot else 0,
            epoch=snapshot.epoch if snapshot else 0,
            made_at=snapshot.made_at if snapshot else 0.0,
        )
        now, hedger = self._clock.monotonic(), self._server.hedger
        report.targets = [_target_count(name, slots, now) for name, slots in self.slots.items()]
        report.hedges_made, report.hedges_won, report.hedges_withheld = hedger.made, hedger.won, hedger.withheld
        report.budgets = self.purses.counts()
        report.kill = self._stopped()
        report.cache_entries, report.cache_bytes = len(self.cache), self.cache.bytes
        return report


def _target_count(name: str, slots: Slots, now: float) -> TargetCount:
    breaker = slots.breaker
    return TargetCount(
        name, breaker.state, breaker.opened, breaker.wait(now), slots.limit, slots.waiting, slots.shed,
        slots.retries.spent,
    )  # fmt: skip


def _method_not_allowed(request: Request, methods: dict[str, Handler]) -> Refused:
    allow = ", ".join(sorted(methods))
    return Refused(
        405, "method_not_allowed", f"{request.path} answers {allow}, not {request.method[:20]}.",
        headers=[(b"allow", allow.encode())],
    )  # fmt: skip
