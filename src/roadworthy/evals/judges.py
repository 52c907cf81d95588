"""The judges of an install: what each was held against and how it fared, sealed; and which of them may decide.

A judge is known by its *identity*: the frozen behaviour of the workflow that answers, and the arguments and version of
the scorer that asks.  Another model, prompt, parameter or rubric is another judge, with no calibration yet.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from roadworthy.evals.calibration import LIFE, Calibration, Conclusion, in_force
from roadworthy.evals.scorers.base import Mark, Scorer
from roadworthy.evals.scorers.judge import RubricJudge
from roadworthy.evals.scorers.pairwise import Pairwise
from roadworthy.evals.scorers.registry import recorded
from roadworthy.evals.sealed import Sealed
from roadworthy.evidence.ports import Signer, Verifier
from roadworthy.evidence.sealing import Seal
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.digest import canonical
from roadworthy.workflow.ports import Transaction
from roadworthy.workflow.service import Unknown

T = TypeVar("T")


class JudgeMark(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a judge said of one hand-scored answer.  Sealed."""

    calibration: str
    item: str
    mark: Mark
    at: float


CALIBRATION = Seal(Calibration, "judge calibration", b"rwj-", longest=1 << 22)
JUDGE_MARK = Seal(JudgeMark, "judge mark", b"rwm-", longest=64 * 1024)


class JudgeTransaction(Transaction, Protocol):
    """Who reads opens the tokens."""

    def put_calibration(self, calibration: Calibration, token: str) -> None:
        """Insert, or replace the token of the one with this id."""
        ...

    def calibration(self, ident: str) -> str | None:
        """Its token."""
        ...

    def calibrations(self, workflow: str = "", limit: int = 200) -> Sequence[str]:
        """Newest first; empty: of every workflow."""
        ...

    def put_judge_mark(self, calibration: str, item: str, token: str) -> None:
        """Insert, or replace what the judge said of this answer.  Raises ``StateConflict``: no such calibration."""
        ...

    def judge_marks(self, calibration: str) -> Sequence[str]:
        """By item."""
        ...

    def forget_judged(self, examples: Sequence[str]) -> int:
        """Delete what judges said of answers to these → rows."""
        ...

    def add_online(self, team: str, workflow: str, day: str, usd: float, scored: int, passed_over: int) -> None:
        """Add to what scoring live answers came to on a day."""
        ...

    def online(self, workflow: str, day: str) -> tuple[float, int, int]:
        """Dollars, answers scored, answers that the budget passed over."""
        ...


class JudgeState(Protocol):
    """The state store, as far as judges need it."""

    def read(self) -> AbstractContextManager[JudgeTransaction]: ...

    def write(self) -> AbstractContextManager[JudgeTransaction]: ...


def identity_of(scorer: Scorer) -> str:
    """``jdg_`` + 64 hex digits of what decides what it says; the name of its score is no part of it."""
    record = recorded(scorer)
    arguments = {name: value for name, value in record["arguments"].items() if name != "title"}
    return "jdg_" + hashlib.sha256(canonical({**record, "arguments": arguments}).encode("ascii")).hexdigest()


class Judges:
    """Thread-safe as its store is; blocking."""

    def __init__(
        self,
        state: JudgeState,
        signer: Signer,
        verifier: Verifier,
        *,
        clock: Callable[[], float],
        keys: Sequence[str] = (),
        new_id: Callable[[], str] = lambda: "cal_" + secrets.token_hex(8),
    ) -> None:
        """``keys``: public keys of earlier signers of this install, whose signatures still count."""
        self._state = state
        self._sealed = Sealed(signer, verifier, keys)
        self._clock = clock
        self.new_id = new_id

    # --- which may decide

    def calibrated(
        self, workflow: str, identity: str, rubric: str, now: float, *, score: str = ""
    ) -> Calibration | str:
        """The calibration that vouches for a judge of a workflow under a rubric, or why none does, in words.

        Only one on answers of this workflow: who judges one kind of question well may judge another badly.  The newest
        concluded one of this very identity decides, whatever an older one came to; so a judge that failed is not made
        good by an earlier success, and ``said_before`` lets none be made good by asking until it looks well.
        ``score``: by which the calibration of the judge before it is found, to say what changed.
        """
        concluded = [each for each in self.known(workflow) if each.concluded is not None]
        mine = [each for each in concluded if each.identity == identity]
        mine = mine or [each for each in concluded if score and each.scorer == score]
        newest = max(mine, key=lambda each: each.concluded.at if each.concluded else 0.0, default=None)
        return in_force(newest, identity, rubric, now) or newest or ""

    def uncarried(self, workflow: str, rubric: str, scorers: Iterable[Scorer], now: float) -> dict[str, str]:
        """Score → why it may not carry a floor: those of judges that no calibration vouches for."""
        found = {}
        for each in scorers:
            if isinstance(each, RubricJudge | Pairwise):
                vouched = self.calibrated(workflow, identity_of(each), rubric, now, score=each.name)
                if isinstance(vouched, str):
                    mend = f"roadworthy evals calibrate {workflow} {each.name}"
                    found[each.name] = f"the judge cannot decide: {vouched} ({mend})"
        return found

    def known(self, workflow: str = "") -> list[Calibration]:
        """Newest first: those that we signed."""
        with self._state.read() as tx:
            tokens = tx.calibrations(workflow)
        return [each for each in self._sealed.opened(CALIBRATION, tokens) if workflow in ("", each.workflow)]

    def find(self, ident: str) -> Calibration:
        """Raises ``Unknown``: there is none that we signed."""
        with self._state.read() as tx:
            token = tx.calibration(ident)
        found = [] if token is None else self._sealed.opened(CALIBRATION, [token])
        if not found or found[0].id != ident:
            raise Unknown(f"there is no calibration '{ident}'; roadworthy evals judges lists them")
        return found[0]

    # --- calibrations under way

    def begin(self, made: Calibration) -> Calibration:
        """Fix what is asked before the first question; audited."""
        after = {"scorer": made.scorer, "judge": made.identity, "answers": len(made.items), "rubric": made.rubric}
        return self._put(made, "evals.calibrate", after)

    def conclude(self, made: Calibration, conclusion: Conclusion) -> Calibration:
        """Keep what it came to; audited."""
        after = {"scorer": made.scorer, "judge": made.identity, "verdict": conclusion.verdict}
        return self._put(replace(made, concluded=conclusion), "evals.calibrated", after)

    def keep(self, calibration: str, item: str, mark: Mark) -> None:
        """Each in a transaction of its own: whatever ends us, what was said is not asked again."""
        made = JudgeMark(calibration=calibration, item=item, mark=mark, at=self._clock())
        with self._state.write() as tx:
            tx.put_judge_mark(calibration, item, self._sealed.seal(JUDGE_MARK, made))

    def marks(self, calibration: str) -> dict[str, Mark]:
        """Item → what the judge said: those that we signed for this very calibration."""
        with self._state.read() as tx:
            tokens = tx.judge_marks(calibration)
        opened = self._sealed.opened(JUDGE_MARK, tokens)
        return {each.item: each.mark for each in opened if each.calibration == calibration}

    def said_before(self, made: Calibration) -> dict[str, list[Mark]]:
        """Item → what this very judge said of it in earlier calibrations, concluded or not, while those are good."""
        found: dict[str, list[Mark]] = {}
        for each in self.known(made.workflow):
            same = (each.identity, each.rubric) == (made.identity, made.rubric)
            if same and each.id != made.id and made.began - LIFE < each.began <= made.began:
                for item, mark in self.marks(each.id).items():
                    found.setdefault(item, []).append(mark)
        return found

    # --- inside

    def _put(self, made: Calibration, action: str, after: dict[str, Any]) -> Calibration:
        with self._state.write() as tx:
            tx.put_calibration(made, self._sealed.seal(CALIBRATION, made))
            event = Event(
                made.by, action, f"workflow/{made.workflow}", on_behalf_of=made.on_behalf_of, team=made.team,
                after=after, evidence=made.id,
            )  # fmt: skip
            tx.append_audit(chain(tx.last_audit(), event, self._clock()))
        return made
