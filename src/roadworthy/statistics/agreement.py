"""Do two raters, or many, say the same of the same things, beyond what chance would make them agree on?

Ratings are any hashable values; the intervals are bootstraps over the *units* that were rated (all ratings of a unit
stay together), by the percentile method, reproducible for a seed.

What was never seen would never be drawn: raters who agreed on 50 of 50 would get an interval of no width.  So one unit
of disagreement is added before drawing, spread as independent raters with these marginals would disagree; it is in no
point estimate.  (Simulated for 50 and 100 units and kappas of .6 to .96: the intervals hold in 93 to 98 % of the
samples; with half a unit in 91 % at worst.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roadworthy.statistics.estimate import Estimate

DRAWS = 2000
UNSEEN = 1.0
"""Units of disagreement that are added before drawing."""

Weights = Literal["nominal", "linear", "quadratic"]
"""What a disagreement costs: all the same, by the distance of the values, by its square."""
_Matrix = NDArray[np.float64]
_NOTHING = Estimate(0.0, -1.0, 1.0)
"""Where one value alone was given: it says nothing of agreement."""


def cohen_kappa(
    one: Sequence[Hashable],
    other: Sequence[Hashable],
    *,
    weights: Weights = "nominal",
    scores: Mapping[Any, float] | None = None,
) -> float:
    """Agreement of two raters on the same units: 1 - disagreement seen / disagreement of independent raters.

    ``scores``: value → position, by which disagreements are weighted; without it values are their own positions when
    they are numbers.  Two raters who both know one value only agree as chance has it: 0.  Raises ``ValueError`` for no
    units, for lists of different length, for values without a position.
    Source: J. Cohen, Educ. Psychol. Meas. 20 (1960) 37-46; weighted: J. Cohen, Psychol. Bull. 70 (1968) 213-220.
    """
    counts, costs = _table(one, other, weights, scores)
    return float(_kappas(counts[None], costs)[0])


def kappa_interval(
    one: Sequence[Hashable],
    other: Sequence[Hashable],
    *,
    weights: Weights = "nominal",
    scores: Mapping[Any, float] | None = None,
    confidence: float = 0.95,
    seed: int = 1,
    draws: int = DRAWS,
) -> Estimate:
    """``cohen_kappa`` with its bootstrap interval over units."""
    counts, costs = _table(one, other, weights, scores)
    if len(counts) < 2:
        return _NOTHING
    n = counts.sum()
    outer = np.outer(counts.sum(1), counts.sum(0)) * (1 - np.eye(len(counts)))
    unseen = outer / outer.sum() if outer.sum() else _even(len(counts))
    shares = (counts + UNSEEN * unseen) / (n + UNSEEN)
    drawn = np.random.default_rng(seed).multinomial(int(n), shares.ravel(), size=draws).reshape(draws, *counts.shape)
    return _estimate(float(_kappas(counts[None], costs)[0]), _kappas(drawn, costs), confidence)


def krippendorff_alpha(
    units: Sequence[Sequence[Hashable | None]],
    *,
    weights: Weights = "nominal",
    scores: Mapping[Any, float] | None = None,
) -> float:
    """Agreement of any number of raters, with gaps (``None``), over units: 1 - D_observed / D_expected.

    ``units``: the ratings of each.  Units with fewer than two ratings say nothing.  ``quadratic`` is the interval
    metric.  Where nobody ever used a second value there is no variation to agree on: 0.  Raises ``ValueError`` when no
    unit was rated twice.
    Source: K. Krippendorff, Content Analysis (4th ed., 2018), ch. 12; Computing Krippendorff's Alpha (2011).
    """
    patterns, coincidences, costs = _coincidences(units, weights, scores)
    return float(_alphas(patterns[None] @ coincidences, costs)[0])


def alpha_interval(
    units: Sequence[Sequence[Hashable | None]],
    *,
    weights: Weights = "nominal",
    scores: Mapping[Any, float] | None = None,
    confidence: float = 0.95,
    seed: int = 1,
    draws: int = DRAWS,
) -> Estimate:
    """``krippendorff_alpha`` with its bootstrap interval over units."""
    patterns, coincidences, costs = _coincidences(units, weights, scores)
    if len(costs) < 2:
        return _NOTHING
    point = float(_alphas(patterns[None] @ coincidences, costs)[0])
    whole = patterns @ coincidences
    k = len(costs)
    margin = whole.reshape(k, k).sum(1)
    outer = np.outer(margin, margin) * (1 - np.eye(k))
    ratings = whole.sum() / patterns.sum()
    unseen = ratings * (outer / outer.sum() if outer.sum() else _even(k)).ravel()
    n = int(patterns.sum())
    chances = np.append(patterns, UNSEEN) / (n + UNSEEN)
    drawn = np.random.default_rng(seed).multinomial(n, chances, size=draws)
    return _estimate(point, _alphas(drawn @ np.vstack([coincidences, unseen]), costs), confidence)


def _table(
    one: Sequence[Hashable], other: Sequence[Hashable], weights: Weights, scores: Mapping[Any, float] | None
) -> tuple[_Matrix, _Matrix]:
    if len(one) != len(other) or not one:
        raise ValueError(f"{len(one)} and {len(other)} ratings: expected as many of each, and at least one")
    values = _values([*one, *other], scores)
    place = {value: at for at, value in enumerate(values)}
    counts = np.zeros((len(values), len(values)))
    for (a, b), count in Counter(zip(one, other, strict=True)).items():
        counts[place[a], place[b]] = count
    return counts, _costs(values, weights, scores)


def _coincidences(
    units: Sequence[Sequence[Hashable | None]], weights: Weights, scores: Mapping[Any, float] | None
) -> tuple[_Matrix, _Matrix, _Matrix]:
    """(how often each pattern of ratings came, its coincidence matrix flattened, costs)."""
    rated = [tuple(sorted((each for each in unit if each is not None), key=repr)) for unit in units]
    found = Counter(unit for unit in rated if len(unit) > 1)
    if not found:
        raise ValueError("no unit was rated twice: there is no agreement to measure")
    values = _values([each for unit in found for each in unit], scores)
    place = {value: at for at, value in enumerate(values)}
    matrices = []
    for unit in found:
        matrix = np.zeros((len(values), len(values)))
        counted = Counter(unit)
        for a, b in product(counted, repeat=2):
            pairs = counted[a] * (counted[b] - (a == b))
            matrix[place[a], place[b]] += pairs / (len(unit) - 1)
        matrices.append(matrix.ravel())
    return np.array([float(count) for count in found.values()]), np.array(matrices), _costs(values, weights, scores)


def _values(found: Sequence[Any], scores: Mapping[Any, float] | None) -> list[Any]:
    values = list(dict.fromkeys(found))
    if scores is None:
        return sorted(values, key=repr)
    unknown = [value for value in values if value not in scores]
    if unknown:
        raise ValueError(f"{unknown[0]!r} has no position; expected one of {', '.join(map(repr, scores))}")
    return sorted(values, key=lambda value: scores[value])


def _costs(values: Sequence[Any], weights: Weights, scores: Mapping[Any, float] | None) -> _Matrix:
    if weights == "nominal":
        return np.asarray(1 - np.eye(len(values)))
    try:
        places = np.array([float(value if scores is None else scores[value]) for value in values])
    except (TypeError, ValueError) as error:
        raise ValueError("values that are no numbers are weighted by their positions: give `scores`") from error
    distance = np.abs(places[:, None] - places[None, :])
    return np.asarray(distance if weights == "linear" else distance**2)


def _kappas(tables: NDArray[Any], costs: _Matrix) -> _Matrix:
    """Of tables of counts, (draws, k, k)."""
    n = tables.sum(axis=(1, 2))
    seen = (tables * costs).sum(axis=(1, 2)) / n
    chance = np.einsum("da,ab,db->d", tables.sum(axis=2), costs, tables.sum(axis=1)) / n**2
    return _one_minus(seen, chance)


def _alphas(flat: _Matrix, costs: _Matrix) -> _Matrix:
    """Of coincidence matrices, (draws, k·k)."""
    k = len(costs)
    margins = flat.reshape(-1, k, k).sum(axis=2)
    n = margins.sum(axis=1)
    seen = flat @ costs.ravel() / n
    chance = np.einsum("da,ab,db->d", margins, costs, margins) / (n * np.maximum(n - 1, 1))
    return _one_minus(seen, chance)


def _one_minus(seen: _Matrix, chance: _Matrix) -> _Matrix:
    """0 where chance could not have disagreed: there was nothing to tell apart."""
    return np.where(chance > 0, 1 - seen / np.where(chance > 0, chance, 1.0), 0.0)


def _even(k: int) -> _Matrix:
    return np.full((k, k), 1 / k**2)


def _estimate(point: float, drawn: _Matrix, confidence: float) -> Estimate:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(point, min(float(lower), point), max(float(upper), point))
