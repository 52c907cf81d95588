"""How a forecast is signed: who writes the database makes none, and makes none better than it was."""

from __future__ import annotations

from roadworthy.cost.model import ForecastFigures
from roadworthy.evidence.sealing import Seal

FORECAST = Seal(ForecastFigures, "cost forecast", b"rwf-", longest=64 * 1024)
