"""A snapshot made ready to serve: everything that can be worked out once is worked out here, not per request.

A ``World`` is immutable; a new snapshot makes a new one, and calls under way finish on the one that they began with.
What must outlive it (slots, buckets) lives elsewhere and is looked up by name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from roadworthy.fallback.words import BLOCKED
from roadworthy.formats.model import Format
from roadworthy.gateway.admission.capabilities import is_limited, lacking
from roadworthy.gateway.admission.proofs import NO_PROOFS, Proofs
from roadworthy.gateway.admission.routing import Router, as_held, flow_of
from roadworthy.gateway.admission.sessions import Sessions
from roadworthy.gateway.admission.sides import Serves
from roadworthy.gateway.answers.canned import CannedAnswer
from roadworthy.gateway.answers.redact import Redactor, redactor
from roadworthy.gateway.answers.repair import RepairPrompt
from roadworthy.gateway.checks.checking import Checking, canary_line, canary_of
from roadworthy.gateway.limits.buckets import Quota
from roadworthy.gateway.limits.plans import plans
from roadworthy.gateway.limits.pricing import ModelPrices
from roadworthy.gateway.limits.slots import Slots
from roadworthy.gateway.messages import Headers
from roadworthy.gateway.ports import Fields, Outgoing, Wire, WireFactory
from roadworthy.gateway.snapshot import ServedWorkflow, Snapshot, SnapshotRefused, frozen_name
from roadworthy.http1.messages import Clocks as HttpClocks
from roadworthy.http1.messages import head
from roadworthy.http1.origin import Origin
from roadworthy.workflow.inference import Attempt, Failure, Route, TrafficClass
from roadworthy.workflow.model import (
    ApiKey,
    Behaviour,
    Bypass,
    Canned,
    Clocks,
    Handling,
    Ladder,
    Policy,
    Price,
    Release,
    Target,
)
from roadworthy.workflow.prompt import Template, TemplateError
from roadworthy.workflow.shares import Places

_encode = msgspec.json.encode

PASSTHROUGH_HANDLING = Handling(clocks=Clocks(connect=5.0, first_token=600.0, idle=300.0, total=600.0), deadline=600.0)
"""An adopted app keeps the patience of the OpenAI client it came with (10 minutes)."""

_HEADS_KEPT = 8

OLD_PATH_HEADERS = [(b"content-type", b"application/json"), (b"accept-encoding", b"identity")]
"""Its answer is passed on as it comes, and we do not know what the caller can decode."""

SecretLookup = Callable[[str], str | None]
"""Name of a secret (``env:NAME``, ``file:/path``) → the secret; ``None``: it is not there."""


class ServedTarget:
    """A target with its wire, its origin and its slots."""

    __slots__ = (
        "_heads", "limited", "model_prices", "name", "origin", "price", "private_allowed", "problem",
        "slots", "target", "wire",
    )  # fmt: skip

    def __init__(self, target: Target, snapshot: Snapshot, wires: WireFactory, secret: SecretLookup, slots: Slots):
        self.name = target.name
        self.target = target
        self.limited = is_limited(target)
        self.price = snapshot.prices.get(target.name)
        listed = snapshot.model_prices.get(target.name)
        self.model_prices = ModelPrices(listed) if listed and self.price is None else None
        self.slots = slots
        self.problem: tuple[Failure, str] | None = None
        """Why it cannot be called at all."""
        self.origin: Origin | None = None
        self.private_allowed = False
        """May its address be loopback or private?"""
        base = b""
        endpoint = snapshot.endpoints.get(target.name)
        if endpoint is None:
            self.problem = ("unavailable", "the target is down: it has no endpoint now")
        else:
            self.origin = Origin.from_url(endpoint.url)
            self.private_allowed = target.allow_private or endpoint.trusted
            base = base_path(endpoint.url)
        found = secret(target.key) if target.key is not None else None
        if target.key is not None and found is None:
            self.problem = ("misconfigured", f"the secret {target.key} is not set where the gateway runs")
        self.wire: Wire = wires(target, base, found)
        self._heads: dict[tuple[bytes, tuple[tuple[bytes, bytes], ...]], tuple[bytes, bytes]] = {}

    def price_of(self, attempt: Attempt) -> Price | None:
        """What the attempt's tokens cost here; ``None``: nobody knows."""
        return self.price if self.model_prices is None else self.model_prices.of(attempt)

    def head(self, outgoing: Outgoing, traceparent: bytes) -> bytes:
        """Head of a request up to its length, with the trace continued.  Encoded once for a path and headers."""
        kept = None if outgoing.signed else self._heads.get((outgoing.path, outgoing.headers))
        if kept is None:
            assert self.origin is not None
            whole = head(b"POST", outgoing.path, self.origin, outgoing.headers)
            cut = whole.rfind(b"\r\n") + 2
            kept = whole[:cut], whole[cut:]
            if len(self._heads) < _HEADS_KEPT and not outgoing.signed:
                self._heads[(outgoing.path, outgoing.headers)] = kept
        return b"%btraceparent: %b\r\n%b" % (kept[0], traceparent, kept[1])


class OldPath:
    """Where ``bypass: {http: …}`` passes calls on to.

    Its address may be private: it is chosen by who may ``apply`` and is usually a service of the same network.
    """

    __slots__ = ("_before", "_rest", "origin")

    def __init__(self, url: str) -> None:
        """Raises ``ValueError`` for what is no URL."""
        self.origin = Origin.from_url(url)
        path = "/" + url.split("://", 1)[-1].partition("/")[2]
        whole = head(b"POST", path.split("#", 1)[0].encode(), self.origin, OLD_PATH_HEADERS)
        cut = whole.rfind(b"\r\n") + 2
        self._before, self._rest = whole[:cut], whole[cut:]

    def head(self, traceparent: bytes) -> bytes:
        return b"%btraceparent: %b\r\n%b" % (self._before, traceparent, self._rest)


class Serving:
    """One workflow as it is served."""

    def __init__(
        self,
        served: ServedWorkflow,
        snapshot: Snapshot,
        targets: dict[str, ServedTarget],
        secret: SecretLookup,
        route: Route | None = None,
        proven: Collection[str] = (),
    ) -> None:
        """``route`` ``None``: ``release``, or ``passthrough`` without one.  ``proven``: its other targets that passed
        the critical examples."""
        self.name = served.name
        self.critical = served.critical > 0
        self.team = served.team
        self.enforced = served.enforcement == "enforce"
        self.policy: Policy = served.policy
        self.money, self.tester_money = plans(served, snapshot)
        """Budgets of its calls (``None``: it has none), and of testers' calls."""
        self.release: Release | None = snapshot.releases[served.release] if served.release else None
        self.digest = served.release
        self.adopted = served.passthrough is not None
        """Its callers are an app that asks for models by their own names."""
        self.beside: Serving | None = None
        """What serves the calls of the other kind (embeddings beside chats) of an adopted app under ``observe``: they
        are passed through as before."""
        if self.release is not None and self.adopted and not self.enforced:
            self.beside = Serving(msgspec.structs.replace(served, release=None), snapshot, targets, secret)
        self.route: Route = route or ("release" if self.release else "passthrough")
        self.behaviour: Behaviour | None = self.release.behaviour if self.release else None
        handling = self.release.handling if self.release else PASSTHROUGH_HANDLING
        self.handling = handling
        self.ladder: Ladder = handling.ladder
        self.bypass: Bypass = handling.bypass
        declared = handling.clocks
        total = min(declared.total, handling.deadline)
        first_token = min(declared.first_token, total)
        self.whole_clocks = HttpClocks(min(declared.connect, total), total, declared.idle, total)
        """A whole answer's first byte comes when the model has finished, so only the total bounds it."""
        self.stream_clocks = HttpClocks(min(declared.connect, total), first_token, declared.idle, total)
        self.targets = targets
        self.own_released: dict[Format, Fields] = {}
        """What the release fixes, in other formats than chat; made when first needed."""
        first = self.behaviour.target if self.behaviour else served.passthrough
        self.target: ServedTarget | None = targets.get(first) if first else None
        barred = self.unproven(proven)
        self.reachable = frozenset(n for n, each in targets.items() if each.problem is None and n not in barred)
        self._limited = [targets[name] for name in sorted(self.reachable) if targets[name].limited]
        self.hedge_target = targets.get(handling.hedge.target or "") if handling.hedge else None
        """Whom a hedge calls; ``None``: the target that is late."""
        self.operation = "embeddings" if self.behaviour and self.behaviour.kind == "embeddings" else "chat"
        self.canned = CannedAnswer(handling.canned) if handling.canned else None
        self.holding = CannedAnswer(handling.holding) if handling.holding else None
        self.blocked = CannedAnswer(handling.blocked or BLOCKED)
        self.repair_prompt = RepairPrompt(self.behaviour.repair_prompt if self.behaviour else None)
        self.bypass_canned = CannedAnswer(Canned(handling.bypass.text)) if handling.bypass.text else None
        self.old_path = OldPath(handling.bypass.url) if handling.bypass.url else None
        self.redactor: Redactor | None = redactor(served.policy.redact, snapshot.redaction)
        self._compile_behaviour()
        self.checking = Checking.compiled(self.release, targets, secret, served.check_sources, enforced=self.enforced)
        """Checks of its answers; ``None``: there are none, and they cost nothing."""
        self._encode_identity()

    def unproven(self, proven: Collection[str]) -> frozenset[str]:
        """Targets that may not answer in the place of the first: the workflow has critical examples, and they have not
        passed them.  Fails closed: without a receipt none has."""
        if not self.critical or self.release is None:
            return frozenset()
        named = self.release.behaviour.targets.keys() - {self.release.behaviour.target}
        return frozenset(name for name in named if frozen_name(name) not in proven)

    def reachable_for(self, fields: Fields, only: Format | None = None) -> frozenset[str]:
        """Names of the targets that are up and can serve this request; ``only``: those that speak this format."""
        found = self.reachable
        if only is not None:
            found = frozenset(name for name in found if only in self.targets[name].wire.speaks)
        if not self._limited:
            return found
        return found - {target.name for target in self._limited if lacking(target.target, fields)}

    def callable_for(self, fields: Fields, now: float, only: Format | None = None) -> frozenset[str]:
        """The same without those whose breaker lets nobody through now.  ``now``: monotonic seconds."""
        targets = self.targets
        found = self.reachable_for(fields, only)
        return frozenset(name for name in found if targets[name].slots.breaker.may_call(now))

    def asked_otherwise(self, model: str) -> bool:
        """Does an adopted app ask for another model than its release calls?"""
        if not self.adopted or self.release is None or self.target is None:
            return False
        return model != self.target.target.model and model != self.name

    def _compile_behaviour(self) -> None:
        behaviour = self.behaviour
        prompt = behaviour.prompt if behaviour else None
        self.template = Template.parse(prompt.system) if prompt else None
        held = self.template.render({}) if self.template is not None and not self.template.holes else None
        self.held_content = None if held is None else _encode(held.rstrip("\n"))
        """The app-held prompt as JSON, if it has no holes: most clients send exactly these bytes."""
        self.managed = prompt is not None and prompt.mode == "managed"
        marked = self.managed and prompt is not None and prompt.canary and self.release is not None
        self.canary_line = canary_line(canary_of(self.release.behaviour_digest)) if marked and self.release else ""
        """Ends the rendered prompt."""
        self.inputs = prompt.inputs if prompt else {}
        self.structured = behaviour is not None and (behaviour.schema is not None or bool(behaviour.tools))
        self.released: Fields = {}
        """Fields that the release fixes: parameters, tools, schema."""
        if behaviour is None:
            return
        for name, value in behaviour.parameters.items():
            self.released[name] = msgspec.Raw(_encode(value))
        if behaviour.tools:
            self.released["tools"] = msgspec.Raw(_encode(behaviour.tools))
        if behaviour.schema is not None:
            wrapped = {"name": _schema_name(self.name), "strict": True, "schema": behaviour.schema}
            self.released["response_format"] = msgspec.Raw(_encode({"type": "json_schema", "json_schema": wrapped}))

    def _encode_identity(self) -> None:
        release = _encode(self.digest)
        self.json_start = b',"workflow":%b,"release":%b' % (_encode(self.name), release)
        self.headers: Headers = [
            (b"x-roadworthy-workflow", self.name.encode()),
            (b"x-roadworthy-release", (self.digest or "none").encode()),
        ]


class ServedKey:
    """A key with the workflows that it may call."""

    __slots__ = ("drill", "issued", "key", "names", "only", "permit", "traffic")

    def __init__(self, key: ApiKey, workflows: dict[str, Serving]) -> None:
        self.key = key
        self.permit = ""
        """Id of the permit that stands in the key's place."""
        self.issued = 0.0
        """Unix seconds, of that permit."""
        self.drill = ""
        """Fault that its calls meet."""
        self.traffic: TrafficClass = "tester" if key.kind == "tester" else "live"
        if key.workflows == ["*"]:
            names = [name for name, serving in workflows.items() if serving.team == key.team]
        else:
            names = [name for name in key.workflows if name in workflows and workflows[name].team == key.team]
        self.names = tuple(sorted(names))
        only = workflows[names[0]] if len(names) == 1 and key.workflows != ["*"] else None
        self.only = only if only is not None and (only.adopted or not only.enforced) else None
        """The one adopted workflow to which the key is bound: ``model`` is then a hint."""


class World:
    """Everything a worker serves from."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        wires: WireFactory,
        secret: SecretLookup,
        slots: dict[str, Slots],
        workers: int = 1,
        proofs: Proofs = NO_PROOFS,
        salt: str = "",
        sessions: Sessions | None = None,
    ) -> None:
        """``slots`` (target name → slots) is kept up to date and outlives this world.  Of a target's rates per minute,
        each of ``workers`` grants its share.  ``salt``: of users' positions (``shares.salt_of``); ``sessions`` outlives
        this world too; ``None``: no session keeps its side.  Fails closed: what ``proofs`` do not hold is for testers.

        Raises ``SnapshotRefused`` for a snapshot that cannot be served: an endpoint that is no URL, a prompt, a
        schema or a redaction rule that cannot be compiled.
        """
        self.snapshot = snapshot
        self.disk_full_serves = snapshot.disk_full == "serve_unlogged"
        try:
            targets = {
                name: ServedTarget(target, snapshot, wires, secret, _slots_of(target, slots, 1.0 / workers))
                for name, target in snapshot.targets.items()
            }
            self.routers = {
                name: _router(as_held(served, proofs), snapshot, targets, secret, proofs, Places(salt, name), sessions)
                for name, served in snapshot.workflows.items()
            }
        except (ValueError, KeyError, TemplateError) as error:
            raise SnapshotRefused(f"cannot be served: {error}") from error
        self.workflows = {name: router.main for name, router in self.routers.items()}
        """Workflow → its release, or its passthrough; ``routers`` say who gets it."""
        self.servings = [serving for router in self.routers.values() for serving in router.servings.values()]
        self.private_origins = frozenset(
            [target.origin for target in targets.values() if target.origin is not None and target.private_allowed]
            + [serving.old_path.origin for serving in self.servings if serving.old_path is not None]
            + [origin for checking in self._checkings() for origin in checking.private_origins]
        )
        self.keys = {digest: ServedKey(key, self.workflows) for digest, key in snapshot.keys.items()}

    def _checkings(self) -> list[Checking]:
        return [serving.checking for serving in self.servings if serving.checking is not None]

    def check_sources(self) -> dict[str, dict[str, dict[str, str]]]:
        """Team → hash → path → text of the users' check code that is served, under a permit too."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for release in self.snapshot.releases.values():
            serving = self.workflows.get(release.workflow)
            for code in set(release.behaviour.checks.values()) & self.snapshot.code.keys():
                if serving is not None:
                    found.setdefault(serving.team, {})[code] = self.snapshot.code[code]
        for serving in self.servings:
            checking = serving.checking
            if checking is not None and checking.code:
                found.setdefault(serving.team, {})[checking.code] = checking.sources
        return found


def _router(
    served: ServedWorkflow,
    snapshot: Snapshot,
    targets: dict[str, ServedTarget],
    secret: SecretLookup,
    proofs: Proofs,
    places: Places,
    sessions: Sessions | None,
) -> Router:
    main = Serving(served, snapshot, targets, secret, proven=_proven(served, snapshot, proofs))
    servings: dict[Serves, Serving] = {"release" if main.release else "passthrough": main}
    if served.previous is not None:
        before = msgspec.structs.replace(served, release=served.previous, check_sources=served.previous_sources)
        proven = _proven(before, snapshot, proofs)
        servings["previous"] = Serving(before, snapshot, targets, secret, "previous", proven)
    return Router(flow_of(served, snapshot, proofs), main, servings, places, sessions)


def _proven(served: ServedWorkflow, snapshot: Snapshot, proofs: Proofs) -> list[str]:
    """Other targets of its release that passed the critical examples, as its receipt says."""
    release = snapshot.releases.get(served.release or "")
    receipt = None if release is None else proofs.receipt(served.name, release.behaviour_digest)
    return [] if receipt is None else receipt.targets


def _slots_of(target: Target, slots: dict[str, Slots], share: float) -> Slots:
    limits = target.limits
    kept = slots.get(target.name)
    if kept is None:
        kept = slots[target.name] = Slots(limits, target.breaker)
    kept.follow(limits, target.breaker)
    if limits.requests_per_minute is None and limits.tokens_per_minute is None:
        kept.quota = None
    elif kept.quota is None:
        kept.quota = Quota(limits, share)
    else:
        kept.quota.follow(limits, share)
    return kept


def base_path(url: str) -> bytes:
    """Path of a base URL without its trailing slash, query kept out: ``https://h/v1/`` → ``b"/v1"``."""
    after = url.split("://", 1)[-1]
    slash = after.find("/")
    return b"" if slash < 0 else after[slash:].split("?", 1)[0].rstrip("/").encode()


def _schema_name(workflow: str) -> str:
    """OpenAI allows letters, digits, ``_`` and ``-``, at most 64."""
    return "".join(letter if (letter.isalnum() and letter.isascii()) or letter in "_-" else "_" for letter in workflow)[
        :64
    ]
