"""Snapshots whose workflows have earned it: signed receipts, ramps and waivers, as control would publish them."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.evidence.model import Waiver
from roadworthy.evidence.receipt.model import Receipt
from roadworthy.evidence.receipt.tokens import RECEIPT
from roadworthy.evidence.tokens import WAIVER
from roadworthy.gateway.admission.proofs import Memory, Notary, Proofs
from roadworthy.gateway.snapshot import Ramp, Snapshot
from roadworthy.workflow.model import Release

SIGNER = Ed25519Signer(b"s" * 32)
"""Control's key in tests."""
DAY = 86_400.0


def receipt(about: Release, now: float, **more: Any) -> Receipt:
    """The gate passed it an hour ago."""
    fields: dict[str, Any] = {
        "id": "rcp_0123456789abcdef", "team": "default", "workflow": about.workflow,
        "behaviour": about.behaviour_digest, "verdict": "PASS", "floors_met": True, "evidence": "evd_1", "run": "run_1",
        "epoch": 1, "issued": now - 3600, "expires": now - 3600 + 35 * DAY,
    }  # fmt: skip
    return Receipt(**{**fields, **more})


def waiver(workflow: str, now: float, **more: Any) -> Waiver:
    """Somebody let enforcement rest."""
    fields: dict[str, Any] = {
        "id": "wvr_0123456789abcdef", "team": "default", "workflow": workflow, "item": None, "person": "ann",
        "reason": "adopted", "starts": now - 3600, "ends": now + 30 * DAY,
    }  # fmt: skip
    return Waiver(**{**fields, **more})


def earned(snapshot: Snapshot, now: float) -> Snapshot:
    """The snapshot with all that lets its workflows be served to everybody from ``now`` on."""
    flows = snapshot.workflows.values()
    observing = [flow.name for flow in flows if flow.enforcement == "observe"]
    releases = {
        (name, each.behaviour_digest): msgspec.structs.replace(each, workflow=name)
        for each in snapshot.releases.values()
        for name in (each.workflow, *(flow.name for flow in flows if each.digest in (flow.release, flow.previous)))
    }
    return msgspec.structs.replace(
        snapshot,
        workflows={flow.name: msgspec.structs.replace(flow, ramp=flow.ramp or Ramp(1.0)) for flow in flows},
        permit_keys=snapshot.permit_keys or [SIGNER.public_key],
        receipts=[RECEIPT.sealed(receipt(made, now), SIGNER) for made in releases.values()],
        waivers=[WAIVER.sealed(waiver(name, now), SIGNER) for name in observing],
    )


def proven(snapshot: Snapshot, memory: Memory | None = None) -> Proofs:
    """What its tokens prove."""
    return Notary(Ed25519Verifier()).proofs(snapshot, memory or Memory())
