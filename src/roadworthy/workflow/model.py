"""What ships: workflows, releases, targets and policy, as frozen data.

These structs are what configuration files are parsed into, what releases are made of and what the snapshot
carries to the gateway.  Durations are seconds, shares are in [0, 1], money is US dollars.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from roadworthy.formats.model import Format
from roadworthy.workflow.inference import Failure, StepKind
from roadworthy.workflow.rotation import Rotation

ProviderKind = Literal["openai", "anthropic", "gemini", "bedrock", "local", "simulated"]
"""``openai`` is any OpenAI-compatible endpoint; ``local`` the bundled model; ``simulated`` the rehearsal target."""

FORCING: Final[frozenset[ProviderKind]] = frozenset({"anthropic", "bedrock"})
"""Kinds whose wire sends a JSON schema as a forced tool to a model without structured outputs."""

PromptMode = Literal["managed", "app"]
Enforcement = Literal["enforce", "observe"]
StreamMode = Literal["passthrough", "windowed", "buffered"]
Prefill = Literal["native", "prompted", "none"]
WorkflowKind = Literal["chat", "embeddings"]
Role = Literal["viewer", "scorer", "agent", "operator", "owner", "admin"]
"""What a person may do (``people.roles``); each later one may more, but an agent does not score."""

DEFAULT_TEAM = "default"


class _Frozen(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=False):
    """Base of all configuration data.  Unknown fields are allowed on read so that formats may skew by one version."""


class Price(_Frozen, frozen=True):
    """US dollars per token.  ``None``: that kind of token is charged as ``input`` (cache) or is not sold."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    per_request: float = 0.0
    source: str = "declared"
    """``declared`` (the user's table) or ``genai-prices VERSION``."""
    cache_write_1h: float | None = None
    """Of what is written to be kept for an hour; ``None``: as ``cache_write``."""


class Capabilities(_Frozen, frozen=True):
    prefill: Prefill = "none"
    response_schema: bool = True
    """The target obeys ``response_format: json_schema``."""
    tools: bool = True
    images: bool = True
    surfaces: list[Format] | None = None
    """Wire formats that it takes as they are; ``None``: what its kind of provider is known for."""


class Breaker(_Frozen, frozen=True):
    """When a target that keeps failing is left alone for a while."""

    share: float = 0.5
    """Opens when this share of the calls in ``window`` failed…"""
    calls: int = 10
    """…of at least so many."""
    window: float = 10.0
    cooldown: float = 5.0
    """Seconds until a half-open probe; doubled after each probe that fails, at most 60 s."""


class TargetLimits(_Frozen, frozen=True):
    concurrency: int = 256
    """Most calls under way at once, per worker: the ceiling of the adaptive limit."""
    adaptive: bool = True
    """Let the limit follow what the target bears (time-outs, 429, 503 and 529; not latency), down to 1."""
    queue: int = 64
    """Most calls that wait for a slot, per worker; the next ones are shed to the ladder."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class Target(_Frozen, frozen=True):
    """An exact model at a provider."""

    name: str
    provider: ProviderKind
    model: str
    endpoint: str | None = None
    """Base URL with its version path (``https://api.openai.com/v1``).  ``None`` for local and simulated."""
    key: str | None = None
    """Name of a secret, never the secret: ``env:NAME`` or ``file:/path``."""
    price: Price | None = None
    discount: float = 0.0
    """Share that a contract takes off the price, the declared one or the listed one."""
    limits: TargetLimits = TargetLimits()
    capabilities: Capabilities = Capabilities()
    allow_private: bool = False
    """May the endpoint resolve to a loopback, link-local or private address?"""
    simulation: dict[str, Any] | None = None
    """Profile of a ``simulated`` target (see docs/targets.md)."""
    headers: dict[str, str] = {}
    """Extra fixed headers (no secrets) such as ``anthropic-version``."""
    breaker: Breaker = Breaker()


class InputSpec(_Frozen, frozen=True):
    """One ``{{ hole }}`` of a prompt."""

    required: bool = True
    default: str | None = None
    max_chars: int = 20_000
    description: str = ""


class Prompt(_Frozen, frozen=True):
    mode: PromptMode
    system: str
    """Template text with ``{{ holes }}``; for ``app`` the frozen template the caller's system messages must match."""
    inputs: dict[str, InputSpec] = {}
    canary: bool = False
    """``managed`` only: the rendered prompt ends with a secret mark that no answer may hold (check ``prompt_leak``)."""


class Step(_Frozen, frozen=True):
    """One rung of a ladder."""

    kind: StepKind
    target: str | None = None
    times: int = 1
    """``retry`` and ``repair`` only: how many."""
    backoff: float = 0.2
    """``retry`` only: seconds before the first retry, doubled each time, with full jitter."""
    max_age: float | None = None
    """``cache`` only: seconds; ``None``: as the release's cache says."""
    admitted_only: bool = False
    """Not for a call that was turned away before any target was called: the default steps of ``throttled``."""


Ladder = dict[Failure, list[Step]]


class Canned(_Frozen, frozen=True):
    """What the customer reads when no model answered."""

    text: str
    json: Any = None
    """The declared JSON answer where a schema applies; must validate against the schema."""


CheckKind = Literal[
    "language",
    "refusal",
    "repetition",
    "forbidden",  # promises and words that the workflow's own rules forbid
    "personal_data",
    "secrets",
    "prompt_leak",
    "markup",  # HTML and script
    "garbage",  # NUL, control characters, replacement characters
    "length",
    "moderation",  # a target that speaks OpenAI's /v1/moderations
    "guard",  # a model as a target, asked whether the answer is safe
    "python",  # the user's function by dotted path
    "http",  # the user's endpoint
]
"""Checks that a release declares.  Structure (JSON Schema, tool arguments, emptiness, truncation, content filter and
``message.refusal``) is always checked."""

ASKING_CHECKS: frozenset[CheckKind] = frozenset({"moderation", "guard", "python", "http"})
"""Checks that ask somebody else: they need the whole answer, and wait."""


class CheckSpec(_Frozen, frozen=True):
    """One declared check of every answer."""

    kind: CheckKind
    failure: Literal["invalid", "refused", "unsafe"]
    """What an answer that does not pass becomes."""
    on_error: Literal["pass", "fail"] = "fail"
    """Fail-open or fail-closed when the check itself cannot be done in time."""
    timeout: float = 1.0
    """Seconds that the check may take."""
    record_only: bool = False
    """The verdict is recorded and changes nothing."""
    target: str | None = None
    """``moderation`` and ``guard``."""
    options: dict[str, Any] = {}
    """Settings of the kind (docs/checks.md)."""


class Hedge(_Frozen, frozen=True):
    """A second attempt beside one that is late."""

    after: float | None = None
    """Seconds without a first token; ``None``: the observed p95 of the target."""
    target: str | None = None
    """``None``: the same target."""
    share: float = 0.05
    """Most of the calls that may be hedged."""


class CacheSpec(_Frozen, frozen=True):
    """Exact cache of good answers, keyed by release and normalised request."""

    use: Literal["step", "always"] = "step"
    """``step``: only where a ladder says ``cache``; ``always``: before a target is called."""
    max_age: float = 3600.0
    shared: bool = False
    """Declared safe to give to another user than the one for whom it was made."""


class Bypass(_Frozen, frozen=True):
    """What a user of a stopped workflow (or outside the ramp) gets instead of the AI."""

    kind: Literal["app", "canned", "human", "http"] = "app"
    text: str | None = None
    url: str | None = None


class Clocks(_Frozen, frozen=True):
    """Time limits of one attempt, in seconds."""

    connect: float = 5.0
    first_token: float = 20.0
    idle: float = 15.0
    total: float = 60.0


class TargetIdentity(_Frozen, frozen=True):
    """What of a target is part of behaviour: not its key, price or limits."""

    provider: ProviderKind
    model: str
    host: str
    """Host (and port) of the endpoint; ``local`` and ``simulated`` for those providers."""


class Behaviour(_Frozen, frozen=True):
    """The facet that decides what the model does."""

    kind: WorkflowKind
    prompt: Prompt | None
    target: str
    """Name of the first target."""
    targets: dict[str, TargetIdentity]
    """Every target that the release names, ladder included."""
    parameters: dict[str, Any] = {}
    tools: list[dict[str, Any]] | None = None
    schema: dict[str, Any] | None = None
    caller_overrides: Literal["refuse", "ignore"] | list[str] = "refuse"
    repair_prompt: str | None = None
    """Template of the message that asks for a repair, with the hole ``{{ errors }}``; ``None``: the built-in one."""
    checks: dict[str, str] = {}
    """Name of a ``python`` check → SHA-256 of its source."""


class Handling(_Frozen, frozen=True):
    """The facet that decides what happens around the model."""

    ladder: Ladder = {}
    canned: Canned | None = None
    holding: Canned | None = None
    """What an escalated caller reads while a human looks at it; without it nothing is escalated."""
    bypass: Bypass = Bypass()
    clocks: Clocks = Clocks()
    deadline: float = 60.0
    """Seconds for the whole inference, all attempts included."""
    stream: StreamMode = "passthrough"
    window: int = 400
    """``windowed`` streams: characters that are held back."""
    continuation: int = 0
    """How often a stream that broke after its first bytes is continued (0: it ends with an error event)."""
    blocked: Canned | None = None
    """What a caller reads whose answer was dropped and for whom no step is left; ``None``: a built-in text."""
    checks: dict[str, CheckSpec] = {}
    """Name → check, in the order in which they run."""
    repair_json: bool = False
    """Mend an answer that is nearly JSON (json-repair), then validate it again."""
    hedge: Hedge | None = None
    cache: CacheSpec | None = None


class Release(_Frozen, frozen=True):
    """An immutable, content-addressed bundle."""

    workflow: str
    digest: str
    """``rel_`` + 64 hex digits over both facets."""
    behaviour_digest: str
    handling_digest: str
    behaviour: Behaviour
    handling: Handling


class FrozenRelease(_Frozen, frozen=True):
    """A release with the story of its making (not part of the digest)."""

    release: Release
    team: str
    number: int
    """1, 2, 3… within the workflow, for people."""
    frozen_at: float
    frozen_by: str
    note: str = ""


class Objective(_Frozen, frozen=True):
    latency_p95: float | None = None
    error_share: float | None = None
    latency_p99: float | None = None
    """Stated by the owner: with it a long tail may be long answers, and still be in order."""


class Budget(_Frozen, frozen=True):
    """US dollars in a calendar day and month of the install's time zone; ``None``: no limit."""

    day: float | None = None
    month: float | None = None


class Budgets(_Frozen, frozen=True):
    """Most that a workflow may spend."""

    inference: float | None = None
    """Cost allowance of one inference, all of its attempts and checks included."""
    user: Budget = Budget()
    """Of each user (unit) of the workflow."""
    key: Budget = Budget()
    """Of each key on the workflow."""
    workflow: Budget = Budget()
    alert_at: tuple[float, ...] | float = (0.5, 0.8, 1.0)
    """Shares of a budget at which its cost owner is told, rising; a single one is read as well."""
    spike_at: float = 3.0
    """Times what an hour usually costs at which the cost owner is told."""

    @property
    def alerts(self) -> tuple[float, ...]:
        """``alert_at``, whichever way it is written."""
        return self.alert_at if isinstance(self.alert_at, tuple) else (self.alert_at,)

    def thresholds(self) -> dict[str, float]:
        """Budget and share ("workflow, month, 50 %") → US dollars at which somebody is told."""
        scopes = {"workflow": self.workflow, "key": self.key, "user": self.user}
        return {
            f"{scope}, {period}, {share * 100:g} %": limit * share
            for scope, budget in scopes.items()
            for period, limit in (("day", budget.day), ("month", budget.month))
            if limit is not None
            for share in self.alerts
        }


class EscalationPolicy(_Frozen, frozen=True):
    helpdesk: str | None = None
    """Name of a helpdesk in roadworthy.yaml; ``None``: only our own queue."""
    answer_within: float = 4 * 3600.0
    """Seconds that a human has to answer."""
    capacity: int = 200
    """Open escalations at which the step is skipped."""
    hide_draft: float = 0.0
    """Share of escalations whose agent sees the draft only after they have written."""
    agents: int | None = None
    """People who answer at the same time; ``None``: as roles and answers show."""


class KillPolicy(_Frozen, frozen=True):
    """How the workflow is stopped, and what stops it without a person (``kill_switch.triggers``)."""

    streams: Literal["drain", "cut"] = "drain"
    """What becomes of answers under way."""
    stale: Literal["hold", "off"] = "hold"
    """What a gateway does that has not heard of control for 30 s."""
    usd_per_hour: float | None = None
    """Spend that stops it; ``None``: none."""
    unsafe_share: float | None = 0.02
    """Share of unsafe answers in ten minutes; ``None``: none."""
    error_burn: float | None = 14.4
    """Times the objective's error share, for an hour and for five minutes; ``None``: none."""
    to: Literal["guarded", "assist", "off"] = "guarded"
    """State that a trigger brings about."""


class RampStage(_Frozen, frozen=True):
    """A stage of the workflow's own ramp."""

    name: str
    share: float
    dwell: float = 86_400.0
    """Seconds."""
    calls: int = 100
    approval: bool = True


class RampBudget(_Frozen, frozen=True):
    """A guardrail of the workflow's own."""

    budget: float
    limit: float


class ShadowPolicy(_Frozen, frozen=True):
    """Answers of a release that nobody sees, scored."""

    share: float = 0.05
    """Of live calls that are repeated."""
    usd_per_day: float = 1.0


class RolloutPolicy(_Frozen, frozen=True):
    """How releases of the workflow are ramped; what is left out is the built-in plan."""

    stages: list[RampStage] = []
    drafts: bool = False
    """A stage of drafts after the testers'."""
    guardrails: dict[str, RampBudget] = {}
    """Name → budget and limit, instead of or beside the built-in ones."""
    alpha: float = 0.05
    beta: float = 0.05
    shadow: ShadowPolicy | None = None


class GatePolicy(_Frozen, frozen=True):
    """What an eval gate asks of a release."""

    floors: dict[str, float] = {}
    """Score → least share of examples: proven at 95 % for a first release, held by the sample beside one before."""
    margin: float = 0.10
    """How much worse than the release before it may be, proven at 95 %; a small one takes many examples."""
    primary: str | None = None
    """Score whose difference from the release before decides; ``None``: every score that has a floor."""
    slices: list[str] = []
    """Tags of examples that are judged apart: they can FAIL a gate, never hold it."""


class Policy(_Frozen, frozen=True):
    """What may change without a release."""

    testers: list[str] = []
    pilot_share: float = 0.01
    projected_peak: float | None = None
    """Calls a second."""
    objective: Objective = Objective()
    requests_per_minute_per_key: int | None = None
    tester_calls_per_day: int = 200
    tester_usd_per_day: float = 5.0
    redact: list[str] = []
    """Names of redaction rules applied before anything is written."""
    log_bodies: bool = True
    budgets: Budgets = Budgets()
    escalation: EscalationPolicy = EscalationPolicy()
    kill: KillPolicy = KillPolicy()
    rollout: RolloutPolicy = RolloutPolicy()
    gate: GatePolicy = GatePolicy()
    grace: float = 14 * 86_400.0
    """Seconds that an earned share is kept on evidence that has lapsed, at most thirty days."""


class ScorerSpec(_Frozen, frozen=True):
    """One scorer of the workflow's evals."""

    kind: str
    """Word of ``evals.scorers.registry``."""
    options: dict[str, Any] = {}
    """Arguments of the kind (docs/evals.md)."""


class OnlineEvals(_Frozen, frozen=True):
    """Live answers that are scored as they come."""

    share: float = 0.0
    """Of live answers, in [0, 1]; 0: none."""
    usd_per_day: float = 1.0
    scorers: list[str] = []
    """Names of scorers that need no expectation; empty: all of those."""


class EvalPlan(_Frozen, frozen=True):
    """How the workflow's answers are judged.  It takes effect when its owner publishes a set of examples."""

    scorers: dict[str, ScorerSpec] = {}
    """Name of the score → its scorer; empty: what the examples' expectations ask for by themselves."""
    online: OnlineEvals = OnlineEvals()
    publish_every: float = 30 * 86_400.0
    """Seconds between two published sets, at least; ``forget`` is exempt."""
    nightly: int = 50
    """Examples of the nightly sample on the served release."""
    held_out: float = 0.2
    """Share of a published set that nobody looks at while a prompt is worked on."""


class Owners(_Frozen, frozen=True):
    workflow: str
    prompt: str
    cost: str
    on_call: str | None = None
    """A person or a rotation; ``None``: the team's rotation, else the workflow's owner."""


class Workflow(_Frozen, frozen=True):
    """One AI capability as configured in ``workflows/<name>/``: the draft from which releases are frozen."""

    name: str
    team: str
    owners: Owners
    enforcement: Enforcement
    description: str = ""
    policy: Policy = Policy()
    behaviour: Behaviour | None = None
    """``None`` while a workflow is being adopted and has no files of its own yet."""
    handling: Handling = Handling()
    passthrough: str | None = None
    """Name of the target to which an adopted workflow without a release is passed through."""
    rubric: str | None = None
    evals: EvalPlan = EvalPlan()
    cost_centre: str | None = None
    """Who pays, as finance calls it; ``None``: the team's."""


class RedactionRule(_Frozen, frozen=True):
    name: str
    pattern: str
    """RE2 syntax, applied to the JSON text of a body."""
    replacement: str


class Person(_Frozen, frozen=True):
    id: str
    name: str
    email: str = ""
    phone: str = ""
    team: str = DEFAULT_TEAM
    roles: tuple[Role, ...] = ("operator",)
    """Held in the team; owners are owners of their workflows besides."""
    hours: str = ""
    """Working hours (``Mon-Fri 09:00-17:00``, ``workflow.hours``); empty: always."""
    zone: str = ""
    """IANA zone of those hours; empty: the install's."""
    pages: tuple[str, ...] | None = None
    """Channels by which they are paged; ``None``: every one."""
    left: bool = False
    """Gone: may do nothing any more, and owns what somebody else must take over."""


class Retention(_Frozen, frozen=True):
    bodies: float = 30 * 86400.0
    facts: float = 400 * 86400.0
    cold_after: float = 7 * 86400.0
    """Facts older than this move to Parquet days."""


class Webhook(_Frozen, frozen=True):
    """Where somebody is told over HTTP, signed as Standard Webhooks do."""

    url: str
    secret: str
    """Name of the secret (``env:NAME``, ``file:/path``) that signs what is sent and what comes back."""
    allow_private: bool = False


class Smtp(_Frozen, frozen=True):
    """The server that takes e-mail."""

    host: str
    sender: str
    """Address that mail comes from."""
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = None
    """Name of a secret."""
    allow_private: bool = False
    """May the server be at an address that is not public?"""


class Oidc(_Frozen, frozen=True):
    """An identity provider that people sign in with (OpenID Connect)."""

    issuer: str
    """As its discovery document says it, ``https://id.example.com``."""
    client_id: str
    client_secret: str
    """Name of a secret."""
    name: str = "your company account"
    """What the button says: "Sign in with …"."""
    allow_private: bool = False
    """May it be at an address that is not public?"""


class Finance(_Frozen, frozen=True):
    """How money is shown to whoever pays; inside, everything is US dollars."""

    currency: str = "USD"
    per_usd: float = 1.0
    """Of the currency for one US dollar."""
    as_of: str = ""
    """Day of that rate, ``2026-11-01``; empty: there is none, as for US dollars."""
    cost_centres: dict[str, str] = {}
    """Team → its cost centre."""


class Heartbeat(_Frozen, frozen=True):
    """Whoever raises the alarm when Roadworthy itself falls silent."""

    url: str
    """Name of the secret that holds the address: whoever knows it can keep the alarm quiet."""
    every: float = 60.0
    """Seconds."""
    method: Literal["GET", "POST"] = "GET"
    allow_private: bool = False


BUILT_IN_CHANNELS: Final = ("mail", "notify")
"""Ways to page people that ``smtp`` and ``notify`` bring."""


class Channel(_Frozen, frozen=True):
    """A further way to page people."""

    kind: Literal["pagerduty", "apprise", "webhook"]
    secret: str
    """Name of the secret: PagerDuty's routing key, Apprise's URL, what signs a webhook."""
    url: str | None = None
    """Where a webhook goes; of PagerDuty: whoever takes Events v2 in its place."""
    region: Literal["us", "eu"] = "us"
    """PagerDuty's."""
    signed_by: str | None = None
    """Name of the secret with which PagerDuty signs the webhooks that it sends us."""
    allow_private: bool = False


class PagingSettings(_Frozen, frozen=True):
    """How people are paged."""

    most_an_hour: int = 20
    """Pages that one person gets; further ones are told in one."""


class Settings(_Frozen, frozen=True):
    """``roadworthy.yaml`` beside the targets."""

    listen: str = "127.0.0.1:8400"
    metrics: str = "127.0.0.1:8401"
    console: str = "127.0.0.1:8402"
    """Where people open the console; ``off``: nowhere."""
    console_url: str | None = None
    """What people type to reach it, and what links in messages begin with; ``None``: at ``console``."""
    workers: int = 1
    timezone: str = "UTC"
    retention: Retention = Retention()
    redaction: list[RedactionRule] = []
    disk_full: Literal["bypass", "serve_unlogged"] = "bypass"
    otlp_endpoint: str | None = None
    otlp_headers: str | None = None
    """Name of a secret holding ``k=v,k=v``."""
    proxy: str | None = None
    public_url: str | None = None
    """Where callers and helpdesks reach the gateway from outside; ``None``: at ``listen``."""
    team_budgets: dict[str, Budget] = {}
    """Team → what all of its workflows together may spend."""
    helpdesks: dict[str, Webhook] = {}
    notify: Webhook | None = None
    """Who is told of incidents and alerts."""
    oidc: Oidc | None = None
    """Whom the console lets vouch for people, besides passwords and codes."""
    smtp: Smtp | None = None
    """By which whoever must know is told by e-mail as well."""
    finance: Finance = Finance()
    channels: dict[str, Channel] = {}
    """Ways to page people, by name, besides the built-in ones."""
    paging: PagingSettings = PagingSettings()
    heartbeat: Heartbeat | None = None


class Configuration(_Frozen, frozen=True):
    """Everything ``roadworthy apply DIR`` read, validated."""

    settings: Settings
    targets: dict[str, Target]
    people: dict[str, Person]
    workflows: dict[str, Workflow]
    on_call: dict[str, Rotation] = {}
    """Rotations by name; a team's own is called as the team."""


class ApiKey(_Frozen, frozen=True):
    """A key as stored: its hash, never itself."""

    id: str
    """``key_`` + 12 hex digits."""
    hash: str
    """Hex HMAC-SHA256 of the whole token under the install's ``hmac.key``."""
    name: str
    team: str
    workflows: list[str]
    """Names, or ``["*"]`` for every workflow of the team."""
    kind: Literal["live", "tester"] = "live"
    person: str | None = None
    """Tester keys are bound to a person named in policy."""
    headers: Literal["full", "minimal"] = "full"
    body_object: bool = True
    """``False``: no ``roadworthy`` object in bodies."""
    requests_per_minute: int | None = None
    callbacks: list[str] = []
    """URLs to which answers of escalated calls may be sent."""
    callbacks_private: bool = False
    """May they resolve to loopback or private addresses?"""
    created_at: float = 0.0
    created_by: str = ""
    expires_at: float | None = None
    revoked_at: float | None = None
