"""``tool_calls``: does it call the tools that it should, with the right arguments?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

from roadworthy.evals.scorers.base import Base, CannotScore, Case, ScorerKind, decoded
from roadworthy.evals.scorers.finding import same, shown

MOST_CALLS: Final = 100

Calls = list[tuple[str, Any]]
"""(name, arguments) each."""


class ToolCalls(Base, frozen=True):
    """Each expected call must be made once.  ``arguments``: ``same``: all of them; ``given``: those that are expected,
    others may be there; ``names``: only which tool.  ``partial``: the share that is right, not all or nothing."""

    word: ClassVar[str] = "tool_calls"

    expect: str = "tool_calls"
    arguments: Literal["same", "given", "names"] = "same"
    ordered: bool = False
    extra: bool = False
    partial: bool = False

    @property
    def kind(self) -> ScorerKind:
        return "score" if self.partial else "assertion"

    def score(self, case: Case) -> float | bool:
        expected, made = self._expected(case), calls_of(case.tool_calls)
        right = self._right(expected, made)
        beside = 0 if self.extra else max(0, len(made) - right)
        if not self.partial:
            return right == len(expected) and not beside
        of = max(len(expected), right + beside)
        return right / of if of else 1.0

    def why(self, case: Case) -> str:
        made = ", ".join(name for name, _ in calls_of(case.tool_calls)) or "nothing"
        wanted = ", ".join(name for name, _ in self._expected(case)) or "nothing"
        return f"calls {made[:200]}, expected {wanted[:200]}" + ("" if made != wanted else ", with other arguments")

    def _expected(self, case: Case) -> Calls:
        if self.expect not in case.expected:
            raise CannotScore(f"the example expects nothing under '{self.expect}'")
        expected = case.expected[self.expect]
        if not isinstance(expected, list) or not all(isinstance(call, dict) and _name(call) for call in expected):
            raise CannotScore(f"the example expects {shown(expected)}, not a list of {{name, arguments}}")
        if len(expected) > MOST_CALLS:
            raise CannotScore(f"the example expects {len(expected)} calls, at most {MOST_CALLS} are compared")
        return calls_of(expected)

    def _right(self, expected: Calls, made: Calls) -> int:
        """Expected calls that were made, each call counted once."""
        if self.ordered:
            return self._in_order(expected, made)
        taken: dict[int, int] = {}
        """Call made → expected call that it stands for."""
        return sum(self._find(place, expected, made, taken, set()) for place in range(len(expected)))

    def _find(self, place: int, expected: Calls, made: Calls, taken: dict[int, int], seen: set[int]) -> bool:
        """An augmenting path (Kuhn): with ``given`` one call may stand for several expected ones."""
        for at, call in enumerate(made):
            if at in seen or not self._same(expected[place], call):
                continue
            seen.add(at)
            if at not in taken or self._find(taken[at], expected, made, taken, seen):
                taken[at] = place
                return True
        return False

    def _in_order(self, expected: Calls, made: Calls) -> int:
        """Longest common subsequence."""
        row = [0] * (len(made) + 1)
        for want in expected:
            before = 0
            for at, call in enumerate(made, 1):
                before, row[at] = row[at], before + 1 if self._same(want, call) else max(row[at], row[at - 1])
        return row[-1]

    def _same(self, expected: tuple[str, Any], made: tuple[str, Any]) -> bool:
        if expected[0] != made[0]:
            return False
        if self.arguments == "names":
            return True
        want, given = expected[1], made[1]
        if self.arguments == "given" and isinstance(want, dict) and isinstance(given, dict):
            return all(key in given and same(given[key], value) for key, value in want.items())
        return same(given, want)


def calls_of(calls: Sequence[Mapping[str, Any]]) -> Calls:
    """``{name, arguments}`` each, or as OpenAI has them: ``{function: {name, arguments: text}}``."""
    return [(_name(call), _arguments(call)) for call in calls]


def _name(call: Mapping[str, Any]) -> str:
    function = call.get("function")
    name = function.get("name") if isinstance(function, Mapping) else call.get("name")
    return name if isinstance(name, str) else ""


def _arguments(call: Mapping[str, Any]) -> Any:
    function = call.get("function")
    given = function.get("arguments") if isinstance(function, Mapping) else call.get("arguments", {})
    if not isinstance(given, str):
        return {} if given is None else given
    read = decoded(given)
    return read if isinstance(read, dict | list) else given
