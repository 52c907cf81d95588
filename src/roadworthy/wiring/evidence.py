"""Evidence at control, composed: the ledger that signs, the board that computes readiness, and what makes evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.evidence.service import Ledger
from roadworthy.inference_log.service import Log
from roadworthy.operations.readiness import Board, PriceOf
from roadworthy.readiness.model import Published
from roadworthy.rollout.model import Rollout


class Proving:
    """Everything of control that is about evidence.  Built once by ``Control``.

    ``rollout``, ``gateways`` and ``published`` are asked at each reading; see ``operations.readiness.Board``.
    """

    def __init__(
        self,
        state: SqliteState,
        signer: Ed25519Signer,
        *,
        log: Log,
        price_of: PriceOf,
        clock: Callable[[], float],
        rollout: Callable[[str], Rollout | None] = lambda workflow: None,
        gateways: Callable[[], Mapping[str, float] | None] = lambda: None,
        published: Callable[[str], Published | None] = lambda workflow: None,
    ) -> None:
        self.ledger = Ledger(state, signer, Ed25519Verifier(), clock=clock)
        self.board = Board(
            state,
            self.ledger,
            log,
            price_of=price_of,
            clock=clock,
            rollout=rollout,
            gateways=gateways,
            published=published,
        )
