"""Every route of the admin API.  Each module says its routes in its docstring."""

from __future__ import annotations

from starlette.applications import Starlette

from roadworthy.api import (
    adopting,
    approvals,
    budgets,
    configuration,
    cost,
    drills,
    escalations,
    evals,
    evals_examples,
    evals_hand,
    evals_judges,
    evals_scorers,
    evidence,
    finance,
    gateways,
    inferences,
    keys,
    kill,
    kill_drills,
    load,
    monitoring,
    oncall,
    operating,
    people,
    reviews,
    rollout,
)
from roadworthy.api.app import Endpoint, make_app
from roadworthy.operations.services import Services

ENDPOINTS: list[Endpoint] = [
    *operating.ENDPOINTS,
    *configuration.ENDPOINTS,
    *approvals.ENDPOINTS,
    *keys.ENDPOINTS,
    *people.ENDPOINTS,
    *inferences.ENDPOINTS,
    *escalations.ENDPOINTS,
    *adopting.ENDPOINTS,
    *drills.ENDPOINTS,
    *evals.ENDPOINTS,
    *evals_judges.ENDPOINTS,
    *evals_examples.ENDPOINTS,
    *evals_hand.ENDPOINTS,
    *evals_scorers.ENDPOINTS,
    *evidence.ENDPOINTS,
    *budgets.ENDPOINTS,
    *finance.ENDPOINTS,
    *cost.ENDPOINTS,
    *gateways.ENDPOINTS,
    *kill.ENDPOINTS,
    *kill_drills.ENDPOINTS,
    *load.ENDPOINTS,
    *monitoring.ENDPOINTS,
    *oncall.ENDPOINTS,
    *reviews.ENDPOINTS,
    *rollout.ENDPOINTS,
]


def admin_app(services: Services) -> Starlette:
    return make_app(services, ENDPOINTS)
