"""Evidence to judge, and a signer that needs no cryptography."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from roadworthy.evidence import kinds
from roadworthy.evidence.kinds import DAY, KINDS, EvalGate, kind_of
from roadworthy.evidence.model import Evidence, Waiver
from roadworthy.evidence.receipt.model import Receipt, Revocation
from roadworthy.evidence.rules import bindings

NOW = 1_760_000_000.0
BEHAVIOUR, HANDLING, WORKFLOW = "beh_" + "1" * 64, "han_" + "2" * 64, "support"
KNOWN = bindings(BEHAVIOUR, HANDLING, WORKFLOW)


class TestSigner:
    """HMAC-like: enough to tell signers apart."""

    __test__ = False

    def __init__(self, key: str = "k1") -> None:
        self.public_key = key

    def sign(self, message: bytes) -> bytes:
        return hashlib.sha256(self.public_key.encode() + message).digest()


class TestVerifier:
    __test__ = False

    def verify(self, public_keys: Sequence[str], message: bytes, signature: bytes) -> bool:
        return any(TestSigner(key).sign(message) == signature for key in public_keys)


FIGURES: dict[str, Any] = {
    "load_test": kinds.LoadTest(
        seconds=3600, rate=20, calls=72_000, p50=0.7, p95=1.1, p99=2.0, error_share=0.001,
        objective_p95=2.0, objective_errors=0.01,
    ),
    "cost_forecast": kinds.Forecast(unit=0.002, month_peak=900, month_five=4500, month_spent=300, prices="p1"),
    "canary": kinds.Canary(log=True, metrics=True, trace=True, seconds=2.0),
    "fallback_drills": kinds.FallbackDrills(failures={"unavailable": "PASS", "slow": "PASS"}, drills=20),
    "acceptance": kinds.Acceptance(role="workflow", person="ada"),
    "eval_gate": EvalGate(
        verdict="PASS", floors_met=True, examples=120,
        set_version="v1", scorers="s1", rubric="r", rubric_signed_by="ada",
    ),
    "kill_drill": kinds.KillDrill(gateways={"gw-1": 0.2}, p50=0.2, max=0.4, late_attempts=0),
    "on_call_schedule": kinds.OnCallSchedule(covered_until=NOW + 30 * DAY, people=["cleo"]),
    "on_call_page": kinds.OnCallPage(to="cleo", acknowledged_by="cleo", seconds=40.0),
    "cost_alert_test": kinds.CostAlertTest(thresholds={"workflow.day": 20.0}, to="bo", delivered=True),
    "failure_catalogue": kinds.FailureCatalogue(content="c1", failures=["unavailable", "slow"], drills="evd_x"),
}  # fmt: skip
"""Kind → figures that pass."""


def evidence(figures: Any = "load_test", **more: Any) -> Evidence:
    """Of a kind (figures that pass) or with the figures given, made an hour ago."""
    figures = FIGURES[figures] if isinstance(figures, str) else figures
    kind = getattr(figures, "instead_of", "") or kind_of(figures)
    made = more.pop("made_at", NOW - 3600)
    row = KINDS.get(kind, KINDS["load_test"])
    life = min(row.life, 30 * DAY) if kind_of(figures) == "attestation" or more.get("mode") == "imported" else row.life
    fields: dict[str, Any] = {
        "id": f"evd_{kind}_{made:.0f}", "team": "default", "figures": figures, "by": "ada", "made_at": made,
        "workflow": "" if row.about == ("install",) else WORKFLOW,
        "run": "" if kind_of(figures) in ("attestation", "acceptance") else "run_1",
        "lapses_at": made + life, "bound": {facet: KNOWN[facet] for facet in row.about},
    }  # fmt: skip
    return Evidence(**{**fields, **more})


def receipt(**more: Any) -> Receipt:
    fields: dict[str, Any] = {
        "id": "rcp_1", "team": "default", "workflow": WORKFLOW, "behaviour": BEHAVIOUR, "verdict": "PASS",
        "floors_met": True, "evidence": "evd_1", "run": "run_1", "epoch": 3, "issued": NOW - 3600,
        "expires": NOW - 3600 + 35 * DAY, "set_version": "v1", "scorers": "s1",
    }  # fmt: skip
    return Receipt(**{**fields, **more})


def revocation(**more: Any) -> Revocation:
    fields: dict[str, Any] = {
        "id": "rev_1", "team": "default", "workflow": WORKFLOW, "behaviour": BEHAVIOUR, "person": "ada",
        "reason": "it lied", "at": NOW, "epoch": 3,
    }  # fmt: skip
    return Revocation(**{**fields, **more})


def waiver(item: int | None = 1, **more: Any) -> Waiver:
    fields: dict[str, Any] = {
        "id": "wvr_1", "team": "default", "workflow": WORKFLOW, "item": item, "person": "ada", "reason": "fair week",
        "starts": NOW - 60, "ends": NOW + 10 * DAY,
    }  # fmt: skip
    return Waiver(**{**fields, **more})
