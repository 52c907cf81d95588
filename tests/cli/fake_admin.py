"""The admin API as the commands know it, with frozen data: routes and shapes of ``roadworthy.api``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from roadworthy.api.configuration import foretold_in_words
from roadworthy.cli.context import Work
from roadworthy.cli.main import root
from roadworthy.fallback.foretell import foretell, foretell_all
from roadworthy.wiring.cli import InProcessTransport
from roadworthy.workflow.audit import AuditRecord, Event, chain
from roadworthy.workflow.ladder import merged
from roadworthy.workflow.model import Behaviour, Handling

NOW = 1_795_080_600.0  # Thu 19 Nov 2026 10:30 Europe/Berlin
TUESDAY = 1_794_920_591.0  # Tue 17 Nov 2026 14:03:11 Europe/Berlin
DIGEST = "rel_" + "ab12cd34" * 8
EVIL = "\x1b]0;owned\x07\x1b[31mred\x1b[0m\u202egnirts\x9b2Jend\x00"


def inference_id(ts: float, tail: int = 0) -> str:
    return f"inf_{int(ts * 1000):012x}{tail:020x}"


def inference(ts: float, tail: int = 0, **facts: Any) -> dict[str, Any]:
    return {
        "k": "end",
        "id": inference_id(ts, tail),
        "ts": ts,
        "team": "default",
        "workflow": "support-triage",
        "outcome": "answered",
        "digest": DIGEST,
        "unit": "u-42",
        "unit_source": "header",
        "key": "key_0123456789ab",
        "target": "main",
        "model_asked": "small-1",
        "model_answered": "small-1-2026-10",
        "tokens": {"input": 1200, "output": 80},
        "cost_usd": 0.000228,
        "latency": 0.842,
        "first_token": 0.21,
        "overhead": 0.0012,
        **facts,
    }


RECOVERED = inference(
    TUESDAY,
    7,
    outcome="recovered",
    failure="unavailable",
    target="backup",
    session="s-1",
    tags={"channel": "email"},
    notes=["prompt_unreleased"],
    tokens={"input": 1200, "output": 80},
    attempts=[
        {"target": "main", "ended": 0.12, "status": 503, "failure": "unavailable", "detail": f"overloaded {EVIL}",
         "model_asked": "small-1", "cost_unknown": "no usage reported"},
        {"target": "backup", "step": "target", "started": 0.121, "first_token": 0.33, "ended": 0.842, "status": 200,
         "finish": "stop", "tokens": {"input": 1200, "output": 80}, "cost_usd": 0.000228, "model_asked": "small-1"},
    ],
    ladder=[{"failure": "unavailable", "step": "target", "target": "backup", "at": 0.121}],
    checks=[{"name": "schema", "passed": True}, {"name": "length", "passed": False, "detail": "80 words"},
            {"name": "promises", "passed": False, "detail": f"a refund {EVIL}", "failure": "unsafe", "score": 0.9,
             "span": [4, 12], "seconds": 0.0021},
            {"name": "guard", "passed": True, "broke": "took longer than 2 s", "cost_usd": None}],
)  # fmt: skip
BODIES = {
    "prompt": "You sort customer messages.",
    "request": {"model": "support-triage", "messages": [{"role": "user", "content": f"Where is my parcel? {EVIL}"}]},
    "response": {
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": f'{{"topic": "parcel"}}{EVIL}'},
            }
        ]
    },
}

LOG = [
    inference(NOW - 60, 1, unit="u-43"),
    inference(NOW - 90, 2, outcome="error", failure="slow", target=None, cost_usd=None, cost_unknown="no price",
              tokens={}, unit=f"u-{EVIL}"),
    RECOVERED,
]  # fmt: skip
"""Newest first."""

STATS = {
    "by": ["workflow"],
    "rows": [
        {"group": {"workflow": "support-triage", "traffic": "live"}, "count": 1204,
         "outcomes": {"answered": 1180, "error": 12, "recovered": 12}, "p50": 0.41, "p95": 1.2, "p99": 4.5,
         "first_token_p50": 0.2, "tokens": {"input": 1_400_000, "output": 96_000}, "cost_usd": 12.4, "cost_unknown": 3},
        {"group": {"workflow": "drafts", "traffic": "live"}, "count": 17, "outcomes": {"canned": 17}, "p50": 0.001,
         "p95": 0.002, "p99": 0.002, "first_token_p50": None, "tokens": {}, "cost_usd": None, "cost_unknown": 17},
    ],
    "source": "buckets",
    "relative_error": 0.01,
}  # fmt: skip

STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "timezone": "Europe/Berlin",
    "listen": "127.0.0.1:8400",
    "base_url": "http://127.0.0.1:8400/v1",
    "configuration": {"version": 3, "applied_at": NOW - 7200, "applied_by": "ada", "errors_at_start": []},
    "workflows": [
        {"name": "support-triage", "state": "on", "serves": "release", "share": 1.0, "owner": "ada", "calls": 1204,
         "release": {"number": 2, "digest": DIGEST}, "outcomes": {"answered": 1192, "error": 12}, "p95": 1.2,
         "spend_today": 12.4, "spend_unknown": 3},
        {"name": "drafts", "state": "on", "serves": "passthrough", "share": 0.0, "owner": "bo", "calls": 0,
         "release": None, "outcomes": {}, "p95": None, "spend_today": 0.0, "spend_unknown": 0},
    ],
    "targets": [{"name": "main", "provider": "openai", "model": "small-1", "url": "https://api.example/v1"}],
    "journal": {"accepted": 1221, "stored": 1220, "in_flight": 1, "lost": 0, "malformed": 0, "torn": 0,
                "pending_bytes": 2048, "pending_seconds": 0.2},
    "processes": [{"name": "worker w0", "pid": 41, "state": "running", "since": NOW - 90000, "alive": True},
                  {"name": "control", "pid": 42, "state": "running", "since": NOW - 300, "restarts": 1,
                   "last_exit": "killed by SIGKILL", "alive": True}],
    "control": {"pid": 42, "epoch": 5, "seq": 2, "published_at": NOW - 7200, "engine": []},
    "waiting": [{"who": "bo", "what": "drafts is passed through as it is", "do": "roadworthy adopt drafts"}],
}  # fmt: skip

ESCALATIONS = [
    {"id": inference_id(NOW - 600, 1), "team": "default", "workflow": "support-triage", "opened_at": NOW - 600,
     "answer_by": NOW + 1800, "failure": "refused", "detail": f"the model refused {EVIL}", "unit": "u-42",
     "traffic": "live", "state": "claimed", "claimed_by": "ada", "claimed_until": NOW + 900, "helpdesk": "zendesk"},
    {"id": inference_id(NOW - 60, 2), "team": "default", "workflow": "support-triage", "opened_at": NOW - 60,
     "answer_by": NOW + 14340, "failure": None, "traffic": "drill", "state": "queue", "helpdesk": "zendesk"},
]  # fmt: skip
ESCALATION_TEXTS = {
    "messages": [{"role": "user", "content": f"Where is my parcel? {EVIL}"},
                 {"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "image_url"}]}],
    "draft": f"I will not say. {EVIL}", "holding": "A colleague will answer you today.", "answer": None,
    "view": {
        "why": "The model refused to answer.", "draft_hidden": False, "policy": ["Answers are promised within 4 h."],
        "history": [{"inference": inference_id(NOW - 90000, 7), "at": NOW - 90000, "workflow": "support-triage",
                     "asked": f"When does it come? {EVIL}", "said": "", "by": "nobody: it failed"}],
    },
}  # fmt: skip
REVIEW = {
    "id": "rev_0123456789abcdef", "workflow": "support-triage", "kind": "weekly", "period": "2026-W46",
    "state": "drafted", "until": NOW - 86400, "drafted_at": NOW - 80000, "overdue_at": NOW + 5 * 86400,
    "overdue": False, "headline": f"412 calls {EVIL}", "signed_by": "",
    "markdown": f"# Weekly review: support-triage, 2026-W46\n\n- main fails more {EVIL}\n",
}  # fmt: skip
CAPACITY = {
    "workflow": "support-triage", "release": DIGEST, "stage": "10 %",
    "stages": [{"name": "25 %", "share": 0.25, "arrive": {"point": 40.0, "low": 35.0, "high": 47.0},
                "answer": {"point": 24.0, "low": 18.0, "high": 31.0}, "holds_at": 0.15, "verdict": "FAIL",
                "text": "at 25 % about 40 an hour arrive in the busiest 4 hours, 2 people answer 24: holds at 15 %"}],
    "agents": [{"agent": "bo", "verdict": "FAIL",
                "text": f"bo {EVIL} sent 20 of 20 drafts as they were, after 4 s; reading takes about 20 s"}],
}  # fmt: skip
DEAD_LETTERS = [
    {"id": "msg_0123456789ab", "kind": "escalation", "destination": "helpdesk:zendesk", "about": ESCALATIONS[0]["id"],
     "state": "dead", "tries": 9, "last_status": 502, "last_error": f"it answered 502 {EVIL}", "ended_at": NOW - 3600}
]  # fmt: skip
INCIDENTS = [
    {"cls": "page", "alert": "unsafe_share", "acknowledged_by": "ada", "acknowledged_at": NOW - 60,
     "page": {"line": f"support-triage: 6 of 9 answers in 10 min were found unsafe {EVIL}", "affected": "6 customers.",
              "fault": "Our release: our own checks refused 6 of 6 bad answers.",
              "done": ["The ladder gave 6 callers a stand-in text instead of an error."],
              "otherwise": "About 36 customers an hour go on like this.",
              "changed": ["13:10 release frozen (number 7), by ada"]},
     "lines": [{"at": NOW - 90, "what": f"Opened by unsafe_share {EVIL}"},
               {"at": NOW - 60, "what": "Is on it", "by": "ada"}],
     "id": "inc_0123456789ab", "kind": "incident", "title": f"support-triage: an answer was unsafe (secrets) {EVIL}",
     "count": 3, "seen_at": NOW - 90, "state": "acknowledged", "traffic": "live", "summary": f"It was withheld. {EVIL}",
     "opened_at": NOW - 4000, "role": "workflow", "workflow": "support-triage", "reason": "",
     "inferences": [inference_id(NOW - 4000, 3), inference_id(NOW - 90, 4)]},
    {"id": "inc_0123456789ac", "kind": "alert", "title": "Target main refuses us", "count": 1, "seen_at": NOW - 7200,
     "state": "resolved", "resolved_by": "drill", "traffic": "drill"},
]  # fmt: skip

KEYS = [
    {"id": "key_0123456789ab", "name": "shop", "kind": "live", "workflows": ["support-triage"],
     "created_at": NOW - 86400},
    {"id": "key_0123456789ac", "name": "ada's", "kind": "tester", "workflows": ["*"], "person": "ada",
     "created_at": NOW - 3600, "expires_at": NOW + 86400},
    {"id": "key_0123456789ad", "name": "old", "kind": "live", "workflows": ["*"], "created_at": 1.0, "revoked_at": 2.0},
]  # fmt: skip

DIFF = {
    "workflow": "support-triage", "a": DIGEST, "b": "rel_" + "ff" * 32,
    "changes": [
        {"facet": "behaviour", "field": "prompt.system", "before": "…", "after": "…",
         "diff": "--- a\n+++ b\n-You sort messages.\n+You sort customer messages.\n"},
        {"facet": "handling", "field": "deadline", "before": "60.0", "after": "20.0", "diff": ""},
    ],
    "lapses": ["evaluation receipt", "fallback drills"],
}  # fmt: skip

RELEASES = [
    {"workflow": "support-triage", "number": 2, "digest": DIGEST, "behaviour_digest": "beh_" + "1" * 64,
     "handling_digest": "han_" + "2" * 64, "frozen_at": NOW - 86400, "frozen_by": "ada", "note": "shorter",
     "served": True},
    {"workflow": "support-triage", "number": 1, "digest": "rel_" + "00" * 32, "behaviour_digest": "beh_" + "3" * 64,
     "handling_digest": "han_" + "2" * 64, "frozen_at": NOW - 9 * 86400, "frozen_by": "ada", "note": "",
     "served": False},
]  # fmt: skip


def explained(failure: str | None = None) -> dict[str, Any]:
    """What ``GET /v1/explain`` says of a release with everything that a ladder can use, as the real rule foretells."""
    texts = {"text": f"A colleague will answer today. {EVIL}"}
    facts = {
        "ladder": {"unavailable": [{"kind": "retry", "times": 2}, {"kind": "target", "target": "backup"},
                                   {"kind": "cache", "max_age": 600.0}, {"kind": "escalate"}, {"kind": "canned"}]},
        "holding": texts, "canned": {"text": "Later.", "json": {"topic": "other"}}, "cache": {},
        "deadline": 20.0, "clocks": {"connect": 1.0, "total": 7.0}, "hedge": {"after": 0.8},
    }  # fmt: skip
    handling = msgspec.convert(facts, Handling)
    ladder = merged(handling.ladder, canned=True, cache=True, holding=True)
    handling = msgspec.structs.replace(handling, ladder=ladder, stream="buffered")
    behaviour = Behaviour("chat", None, "main", {}, schema={"type": "object"})
    costs = {"main": 0.0003, "backup": 0.0012}
    told = [one for one in foretell_all(behaviour, handling, costs=costs) if failure in (None, one.failure)]
    once = [foretell(one.failure, behaviour, handling, admitted=one.admitted, lasts=False) for one in told]
    return {
        "workflow": "support-triage", "release": DIGEST, "number": 2, "deadline": 20.0, "stream": "buffered",
        "window": 400, "continuation": 0, "clocks": msgspec.structs.asdict(handling.clocks),
        "hedge": {"after": 0.8, "target": None, "share": 0.05}, "allowance": 0.05, "capacity": 200,
        "budgets": [{"of": "user", "period": "day", "limit": 0.5, "overshoot": 0.0}], "costs": costs,
        "size": {"input": 1200, "output": 256, "input_source": "the mean of 1,204 calls in the last 7 days",
                 "output_source": "the release's limit"},
        "items": [{**foretold_in_words(one), "once": foretold_in_words(first)}
                  for one, first in zip(told, once, strict=True)],
    }  # fmt: skip


ANOMALY = {
    "workflow": "support-triage", "metric": "errors", "severity": "notice", "regime": "forecast bound",
    "since": NOW - 7200, "bad": 12, "calls": 40, "observed": 0.3, "expected": 0.01,
    "text": "support-triage: 30 % errors, expected about 1 % (12 of 40 calls in 2 of the last 3 hours; forecast bound)",
}  # fmt: skip


PEOPLE = [
    {"id": "ada", "name": "Ada L.", "email": "a@example.com", "team": "default", "left": False, "seen_at": NOW - 3600,
     "roles": [{"role": "operator", "where": "in team default", "source": "people.yaml"},
               {"role": "owner", "where": "of support-triage", "source": "owners"}],
     "owns": ["support-triage (workflow)"]},
    {"id": "cy", "name": "Cy", "email": "c@example.com", "team": "default", "left": True, "seen_at": None, "roles": [],
     "owns": ["returns (cost)"]},
]  # fmt: skip


class FakeAdmin:
    """Canned answers by route; ``answers`` replaces one, ``asked`` records every request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.authorization: list[str | None] = []
        self.log: list[dict[str, Any]] = list(LOG)
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {
            ("GET", "/v1/status"): (200, STATUS),
            ("GET", "/v1/stats"): (200, STATS),
            ("GET", "/v1/keys"): (200, {"items": KEYS}),
            ("POST", "/v1/keys"): (200, _token("key_00000000beef", "mine")),
            ("POST", "/v1/keys/key_0123456789ab/rotate"): (200, _token("key_0123456789ab", "shop")),
            ("POST", "/v1/keys/key_0123456789ab/revoke"): (200, {"key": KEYS[0]}),
            ("GET", "/v1/releases"): (200, {"items": RELEASES}),
            ("GET", "/v1/releases/diff"): (200, DIFF),
            ("POST", "/v1/freeze"): (
                200, {"workflow": "support-triage", "number": 2, "digest": DIGEST, "created": True, "lapses": ["evals"],
                      "reaches": "testers", "next": ["roadworthy evals gate support-triage",
                                                     "roadworthy rollout start support-triage"]}
            ),
            ("GET", "/v1/pending"): (200, {"items": PENDING}),
            ("POST", "/v1/approve"): (
                200, {"workflow": "support-triage", "approved": PENDING[0]["waits"]}
            ),
            ("POST", "/v1/apply"): (200, PLAN),
            ("GET", "/v1/configuration"): (200, {"files": {"workflows/support-triage/workflow.yaml": "x"}}),
            ("GET", "/v1/explain"): (200, explained()),
            ("GET", "/v1/people"): (200, {"items": PEOPLE, "orphans": [
                {"name": "returns", "duty": "cost", "person": "cy", "what": "returns (cost)"}]}),
            ("GET", "/v1/anomalies"): (200, {"items": []}),
            ("GET", "/v1/escalations"): (200, {"items": ESCALATIONS}),
            ("GET", f"/v1/escalations/{ESCALATIONS[0]['id']}"): (200, {**ESCALATIONS[0], **ESCALATION_TEXTS}),
            ("GET", "/v1/capacity/support-triage"): (200, CAPACITY),
            ("GET", "/v1/reviews"): (200, {"items": [REVIEW]}),
            ("GET", "/v1/reviews/support-triage"): (200, REVIEW),
            ("GET", "/v1/deliveries"): (200, {"items": DEAD_LETTERS, "counts": {"dead": 1}}),
            ("GET", "/v1/incidents"): (200, {"items": INCIDENTS}),
            ("GET", f"/v1/incidents/{INCIDENTS[0]['id']}"): (200, INCIDENTS[0]),
            ("GET", "/v1/audit"): (200, {"items": audit_trail()}),
            ("POST", "/v1/journal/flush"): (200, {"stored": 0}),
            ("POST", "/v1/login"): (200, {"token": "rws-secret", "person": "ada", "expires": NOW + 43200}),
            ("POST", "/v1/logout"): (200, {}),
            ("POST", "/v1/forget"): (200, {"deleted": {"facts": 3, "bodies": 2}, "left": {"log.db": 0}}),
            ("POST", "/v1/backup"): (200, {"path": "/backups/a", "bytes": 1_500_000, "files": ["state.db"]}),
        }  # fmt: skip
        self.app = Starlette(routes=[Route("/{path:path}", self._serve, methods=["GET", "POST"])])

    async def _serve(self, request: Request) -> Response:
        raw = await request.body()
        body = json.loads(raw) if raw else None
        query = dict(request.query_params)
        self.asked.append((request.method, request.url.path, query, body))
        self.authorization.append(request.headers.get("authorization"))
        status, answer = self.answers.get((request.method, request.url.path), (0, None))
        if status:
            return JSONResponse(answer, status)
        if request.url.path == "/v1/log":
            return JSONResponse(self._find(query))
        if request.url.path == "/v1/export":
            return Response(b'[\n{"id":"a"}\n]\n', media_type="application/json")
        if request.url.path == f"/v1/inferences/{RECOVERED['id']}":
            said = {"inference": RECOVERED["id"], "ts": NOW, "name": "thumbs", "label": "up", "by": "ada"}
            return JSONResponse({"inference": {**RECOVERED, **BODIES}, "feedback": [said]})
        return JSONResponse(refusal(f"nothing at {request.url.path}", "not_found"), 404)

    def _find(self, query: dict[str, str]) -> dict[str, Any]:
        """Keyset paging as the log does it: newest first; ``before`` gives the rows just newer than the cursor."""
        rows = [row for row in self.log if _matches(row, query)]
        limit = int(query.get("limit", 50))
        more = None
        if "before" in query:
            ts, _, tail = query["before"].partition("~")
            rows = [row for row in rows if (row["ts"], row["id"]) > (float(ts), tail)][-limit:]
        else:
            if "after" in query:
                ts, _, tail = query["after"].partition("~")
                rows = [row for row in rows if (row["ts"], row["id"]) < (float(ts), tail)]
            more = f"{rows[limit - 1]['ts']}~{rows[limit - 1]['id']}" if len(rows) > limit else None
            rows = rows[:limit]
        previous = f"{rows[0]['ts']}~{rows[0]['id']}" if rows else None
        return {"items": rows, "next": more, "previous": previous}


PLAN = {
    "plan": [
        {"change": "changed", "subject": "target main: price", "effect": "acts in 1 s", "loosens": False},
        {"change": "changed", "subject": "workflow support-triage: prompt", "effect": "needs freeze", "loosens": False},
    ],
    "errors": [], "warnings": [], "applied": True, "version": 4, "pending": [],
}  # fmt: skip

PENDING: list[dict[str, Any]] = [
    {
        "id": "5f2c81d09a3e",
        "workflow": "support-triage",
        "approver": "ada",
        "waits": [
            {"field": "policy.testers", "now": ["ada"], "wanted": ["ada", "bo"]},
            {"field": "policy.budgets.user.day", "now": 1.0, "wanted": None},
        ],
    }
]


def refusal(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def audit_trail() -> list[dict[str, Any]]:
    last: AuditRecord | None = None
    trail = []
    for action, target in (("configuration.apply", "configuration"), ("release.freeze", "workflow/support-triage")):
        last = chain(last, Event(actor="ada", action=action, target=target), NOW - 60)
        trail.append(last.as_dict())
    return trail


def _token(key: str, name: str) -> dict[str, Any]:
    row = {"id": key, "name": name, "kind": "live", "workflows": ["support-triage"]}
    return {"key": row, "token": "rw-" + "A" * 40, "base_url": "http://127.0.0.1:8400/v1"}


def _matches(row: dict[str, Any], query: dict[str, str]) -> bool:
    fields = ("workflow", "unit", "outcome", "failure")
    if any(name in query and row.get(name) != query[name] for name in fields):
        return False
    if "since" in query and row["ts"] < float(query["since"]):
        return False
    return "until" not in query or row["ts"] < float(query["until"])


@dataclasses.dataclass
class Cli:
    """Runs commands; ``admin`` is what they talk to."""

    admin: FakeAdmin
    home: Path
    sleep: Callable[[float], None] = lambda seconds: None
    opened: int = 0

    @property
    def data(self) -> Path:
        return self.home / "data"

    def __call__(self, *arguments: str, input: str | None = None) -> Result:
        work = Work(
            connect=self._connect,
            clock=lambda: NOW,
            sleep=lambda seconds: self.sleep(seconds),
            environ={"HOME": str(self.home), "ROADWORTHY_DATA": str(self.data), "NO_COLOR": "1"},
            width=150,
        )
        return CliRunner().invoke(root, list(arguments), obj=work, input=input)

    @contextmanager
    def _connect(self, data: Path, create: bool) -> Iterator[InProcessTransport]:
        self.opened += 1
        with InProcessTransport(self.admin.app) as transport:
            yield transport
