"""Every page of the console that can be looked at, with the addresses of what an install holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roadworthy.console.routes import PAGES

if TYPE_CHECKING:
    from installed import Installed

NO_PAGES = frozenset({
    "/login/provider", "/login/provider/done", "/invite/{token}", "/link/{token}",  # what a message leads to
    "/inferences/export", "/audit/export", "/inferences/{id}/json", "/oncall/calendar/{rotation}.ics",  # files
    "/reviews/{workflow}/{kind}/{period}/markdown", "/login/demo",
})  # fmt: skip
"""Files, and pages that only a message leads to (they have tests of their own)."""


def held(installed: Installed, workflow: str) -> dict[str, str]:
    """Name of a path parameter, by page → what it may be."""
    ask = installed.up.admin

    def first(path: str, field: str) -> str:
        items: list[dict[str, Any]] = ask("GET", path)["items"]
        return str(items[0][field]) if items else ""

    reviews = ask("GET", "/v1/reviews")["items"]
    [review, *_] = [each for each in reviews if each["workflow"] == workflow] or reviews or [{}]
    return {
        "{workflow}": workflow,
        "/inbox/{id}": first("/v1/escalations?all=1", "id"),
        "/incidents/{incident}": first("/v1/incidents", "id"),
        "/inferences/{id}": first(f"/v1/log?workflow={workflow}&limit=1", "id"),
        "/evals/{workflow}/runs/{run}": first(f"/v1/evals/runs?workflow={workflow}", "id"),
        "/load/{workflow}/{run}": first(f"/v1/loads?workflow={workflow}", "id"),
        "/drills/{workflow}/{run}": first(f"/v1/drills?workflow={workflow}", "id"),
        "{kind}": str(review.get("kind", "")),
        "{period}": str(review.get("period", "")),
    }


def addresses(known: dict[str, str]) -> dict[str, str]:
    """Page → address, of every page for which the install holds what it is about."""
    found: dict[str, str] = {}
    for page in PAGES:
        if page.method == "GET" and page.path not in NO_PAGES:
            parts = [_part(part, page.path, known) for part in page.path.split("/")[1:]]
            if page.path == "/" or all(parts):
                found[page.path] = "/" + "/".join(parts)
    return found


def _part(part: str, path: str, known: dict[str, str]) -> str:
    """Of an address; empty where the install holds nothing of the kind."""
    return known.get(part) or known.get(path, "") if part.startswith("{") else part
