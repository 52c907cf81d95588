"""What tonight's answers of a served release say beside those by which it was judged: is something certainly wrong?

Pure.  A look every night is many looks, so what counts as certain is: 99.9 %, one score in three years by chance.  An
alarm is no verdict: it has the gate run again in full at once, and what that comes to acts as evidence does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from roadworthy.evals.gate import Asked, Terms, critical_failed
from roadworthy.evals.rules import Scores
from roadworthy.evals.wording import percent
from roadworthy.statistics.means import difference_lower, difference_upper, share_bounds

SURE: Final = 0.999


def alarms(tonight: Scores, before: Scores, asked: Asked, terms: Terms) -> list[str]:
    """Why the gate must run again, in words; empty: nothing says so.

    ``before``: earlier answers of the same behaviour to the same examples; where there are none, only floors are held.
    """
    found = [
        f"critical example {each.example} was not answered well ({', '.join(each.scores)})"
        for each in critical_failed(tonight, asked, terms)
    ]
    for name, least in terms.floors.items():
        if name in terms.uncarried:
            continue
        mine = tonight.get(name, {})
        found += _below(name, least, mine, asked)
        found += _fallen(name, mine, before.get(name, {}), asked, terms.margin)
    return found


def _below(name: str, least: float, mine: Mapping[str, float], asked: Asked) -> list[str]:
    ids = [each for each in asked.scored_by(name) if each in mine]
    upper = share_bounds([mine[each] for each in ids], asked.labels(ids), SURE)[1]
    if not ids or upper >= least:
        return []
    return [f"{name}: {percent(_mean(mine, ids))} tonight, at most {percent(upper)}; the floor is {percent(least)}"]


def _fallen(
    name: str, mine: Mapping[str, float], before: Mapping[str, float], asked: Asked, margin: float
) -> list[str]:
    ids = [each for each in asked.scored_by(name) if each in mine and each in before]
    differences, clusters = [mine[each] - before[each] for each in ids], asked.labels(ids)
    upper = difference_upper(differences, clusters, SURE)
    if not ids or upper >= 0 or difference_lower(differences, clusters) > -margin:
        return []
    return [f"{name}: {percent(_mean(mine, ids))} tonight, {percent(_mean(before, ids))} when it was judged"]


def _mean(found: Mapping[str, float], ids: Sequence[str]) -> float:
    return sum(found[each] for each in ids) / len(ids)
